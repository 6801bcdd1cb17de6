"""Parts of all list pages: filter chips, badges, short times, and the text of an empty list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

Text = str | Promise
# A shape beside the word, so that colour is not the only sign.
SHAPES = {"ok": "✓", "warning": "▲", "stopped": "✕", "todo": "●", "idle": "○"}
TONES = {
    "NEW": "idle", "EXTRACTED": "idle", "NEEDS_REVIEW": "warning", "READY": "todo", "REJECTED": "stopped",
    "APPROVED": "todo", "PUSHING": "todo", "PUSHED": "ok", "ERROR": "stopped",
    "PENDING": "todo", "SENT": "todo", "ACKED": "ok", "FAILED": "stopped",
    "WAITING": "todo", "APPLIED": "ok", "REPEATED": "idle", "CONFLICT": "stopped", "UNMATCHED": "warning",
    "MALFORMED": "stopped", "ACTIVE": "ok", "DISABLED": "idle",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chip:
    """One click for a filter that the list has anyway."""

    label: Text
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class ForAll:
    """A list's action as one button for all rows, where a filter shows just what it is meant for."""

    label: Text
    action: str
    parameter: str
    value: str = ""

    def fits(self, request: HttpRequest) -> bool:
        chosen = request.GET.get(self.parameter)
        return chosen == self.value if self.value else bool(chosen)


class ListPage:
    """For a ModelAdmin: ``chips``, the most used first; ``nothing_yet`` is the text of an empty list."""

    chips: ClassVar[tuple[Chip, ...]] = ()
    nothing_yet: ClassVar[Text] = ""
    for_all: ClassVar[tuple[ForAll, ...]] = ()

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["erp_connectors/lists.css"]}
        js: ClassVar[list[str]] = ["erp_connectors/lists.js"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may_do = self.get_actions(request)  # type: ignore[attr-defined]  # of the ModelAdmin this is mixed into
        offered = (one for one in self.for_all if one.fits(request) and one.action in may_do)
        own = {
            "chips": [_shown(chip, request) for chip in self.chips],
            "nothing_yet": self.nothing_yet,
            "for_all": next(offered, None),
        }
        view = super().changelist_view  # type: ignore[misc]  # of the ModelAdmin this is mixed into
        response: HttpResponse = view(request, {**own, **(extra_context or {})})
        return response


def badge(status: str, label: Text) -> SafeString:
    tone = TONES.get(status, "idle")
    return format_html(
        '<span class="badge badge-{}"><span aria-hidden="true">{}</span> {}</span>', tone, SHAPES[tone], label
    )


def short_time(at: datetime | None) -> SafeString | str:
    """Short to read, to the second and with its zone on hover."""
    if at is None:
        return ""
    local = localtime(at)
    exact = f"{local:%Y-%m-%d %H:%M:%S %Z}"
    shown = date_format(local, "SHORT_DATETIME_FORMAT")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, shown)


def _shown(chip: Chip, request: HttpRequest) -> dict[str, Any]:
    """A chip that is on takes itself off; what was searched for stays."""
    on = request.GET.get(chip.parameter) == chip.value
    kept = {"q": request.GET["q"]} if request.GET.get("q") else {}
    query = urlencode(kept if on else {chip.parameter: chip.value, **kept})
    return {"label": chip.label, "on": on, "url": f"?{query}"}


NEEDS_ATTENTION = Chip(_("Needs attention"), "attention", "yes")
OVERDUE = Chip(_("Overdue"), "overdue", "yes")
TODAY = Chip(_("Today"), "since", "today")
LAST_DAYS = Chip(_("Last 7 days"), "since", "week")
RETRY_ALL = _("Retry all of these")
