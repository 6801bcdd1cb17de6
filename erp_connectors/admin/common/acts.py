"""What a person can do to one row: a button where it is allowed, a page that says what will happen, and the deed.

One view for all of them; what differs is a table of `Act`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.messages import in_words
from erp_connectors.services.acks.dismiss import NothingToDismiss
from erp_connectors.services.exports.push import PushRefused
from orderflow.input_rules.forms import NotesText
from orderflow.orders.approval import NotReady
from orderflow.tenancy.admin import OrgScopedAdmin, may
from orderflow.tenancy.models import User
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability
from orderflow.transitions import IllegalMove, LostRace

TEMPLATE = "admin/erp_connectors/act.html"
MAX_NOTE = 2000


class Refused(Exception):
    """Nothing was done; the text says why and what to do."""


REFUSALS = (Refused, IllegalMove, LostRace, NotReady, NothingToDismiss, PushRefused)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What will happen, in sentences and facts; ``obstacles``: what has to be done before it can.

    ``warnings``: what to check first; none of it blocks.
    """

    sentences: Sequence[str]
    facts: Sequence[tuple[str, str]] = ()
    obstacles: Sequence[str] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """``does`` returns what to say afterwards, and raises one of `REFUSALS` where it did nothing."""

    name: str
    label: Any
    capability: Capability
    offered: Callable[[Any], bool]
    prospect: Callable[[Any], Prospect]
    does: Callable[[Any, User, str], str]
    asks_note: Any = ""
    grave: bool = False


class NoteForm(forms.Form):
    note = NotesText(
        label=gettext_lazy("Note"), max_length=MAX_NOTE, widget=forms.Textarea(attrs={"rows": 3})
    )


@dataclass(frozen=True, slots=True)
class Button:
    label: Any
    url: str
    primary: bool = field(default=False, kw_only=True)


class Acting(OrgScopedAdmin):
    """Pages with acts; `seen` tells one state of a row from the next, so that nobody confirms what has changed."""

    acts: ClassVar[tuple[Act, ...]] = ()
    key: ClassVar[str] = "uuid"

    def seen(self, row: Any) -> str:
        return str(row.updated_at.isoformat())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_page)
        return [path(f"<{self.key}:pk>/do/<slug:name>/", view, name=self._url_name), *super().get_urls()]

    @property
    def _url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_act"

    def buttons(self, request: HttpRequest, row: Any, primary: str) -> list[Button]:
        """Those that the row's state and the user's role allow."""
        allowed = [act for act in self.acts if may(request, act.capability) and act.offered(row)]
        return [
            Button(act.label, self._act_url(row, act.name), primary=act.name == primary) for act in allowed
        ]

    def _act_url(self, row: Any, name: str) -> str:
        return reverse(f"admin:{self._url_name}", args=[row.pk, name])

    def act_page(self, request: HttpRequest, pk: UUID | int, name: str) -> HttpResponse:
        """GET says what will happen, POST does it. Raises `PermissionDenied`, `Http404`."""
        act = next((act for act in self.acts if act.name == name), None)
        row = self.get_queryset(request).filter(pk=pk).first()
        if act is None or row is None:
            raise Http404
        if not may(request, act.capability):
            raise PermissionDenied
        note = NoteForm(request.POST or None) if act.asks_note else None
        if request.method == "POST" and (note is None or note.is_valid()):
            self._do(request, row, act, note.cleaned_data["note"] if note else "")
            return redirect(self._page_of(row))
        if not act.offered(row):
            messages.error(request, _stale(row))
            return redirect(self._page_of(row))
        return self._ask(request, row, act, note)

    def _ask(self, request: HttpRequest, row: Any, act: Act, note: NoteForm | None) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": act.label,
            "subtitle": str(row),
            "act": act,
            "prospect": act.prospect(row),
            "note": note,
            "seen": request.POST.get("seen") or self.seen(row),
            "back": self._page_of(row),
        }
        return TemplateResponse(request, TEMPLATE, context)

    def _do(self, request: HttpRequest, row: Any, act: Act, note: str) -> None:
        try:
            with transaction.atomic():
                self._require_as_seen(row, act, request.POST.get("seen", ""))
                said = act.does(row.pk, signed_in(request), note)
        except REFUSALS as refused:
            messages.error(request, f"{_('Nothing was done.')} {in_words(refused)}")
        else:
            messages.success(request, said)

    def _require_as_seen(self, row: Any, act: Act, seen: str) -> None:
        """Locked, so that what was confirmed is what is done. Raises `Refused`."""
        now: Any = self.model._default_manager.select_for_update(of=("self",)).get(pk=row.pk)
        if not act.offered(now):
            raise Refused(_stale(now))
        if self.seen(now) != seen:
            raise Refused(
                _("It was changed since you looked at it. Look at it as it is now, and decide again.")
            )

    def _page_of(self, row: Any) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])


def _stale(row: Any) -> str:
    return _("%(row)s is %(status)s now, so this can't be done any more.") % {
        "row": row,
        "status": row.get_status_display(),
    }
