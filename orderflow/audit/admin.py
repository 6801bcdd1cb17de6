"""The audit log, to read: for an org's admins and integrators."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from orderflow.audit.filters import KINDS, ActorFilter, KindFilter
from orderflow.audit.models import AuditLog
from orderflow.audit.reading import About, Change, abouts, changes
from orderflow.audit.search import search
from orderflow.tenancy.admin import OrgScopedAdmin
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

CHANGES_IN_A_LIST = 3


class EntryList(ChangeList):
    """Its rows know what they are about, from one query for each kind of thing."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        found = abouts(rows, signed_in(request), may_open(self.model_admin.admin_site, request))
        for row in rows:
            row.about_now = found[row.pk]
        self.result_list: Any = rows


@admin.register(AuditLog)
class AuditLogAdmin(OrgScopedAdmin):
    view = Capability.AUDIT
    list_display = ("when", "what", "who", "about", "changed", "ip")
    list_filter = ("created_at", "action", KindFilter, ActorFilter)
    list_select_related = ("actor", "org")
    linked = (*OrgScopedAdmin.linked, "entity_id", "request_id")
    search_fields = ("entity_id", "actor__email", "request_id")
    search_help_text = gettext_lazy(
        "Order number, ERP number, file name, ID of the object, e-mail address of the user, request ID"
    )
    ordering = ("-created_at",)
    show_full_result_count = False
    show_facets: ClassVar[Any] = admin.ShowFacets.NEVER

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["orderflow/records.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EntryList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        text = search_term.strip()
        return (search(queryset, signed_in(request), text) if text else queryset), False

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return (*shown, "org") if signed_in(request).is_platform_staff else shown

    @admin.display(description=gettext_lazy("when"), ordering="created_at")
    def when(self, entry: AuditLog) -> SafeString:
        local = localtime(entry.created_at)
        shown = f"{date_format(local, 'SHORT_DATE_FORMAT')}, {local:%H:%M:%S}"
        return format_html('<time datetime="{}">{}</time>', local.isoformat(), shown)

    @admin.display(description=gettext_lazy("what"), ordering="action")
    def what(self, entry: AuditLog) -> str:
        return entry.get_action_display()

    @admin.display(description=gettext_lazy("who"))
    def who(self, entry: AuditLog) -> str:
        return str(entry.actor or _("The system"))

    @admin.display(description=gettext_lazy("object"))
    def about(self, entry: Any) -> SafeString | str:
        about: About = entry.about_now
        kind = KINDS.get(entry.entity_type, entry.entity_type)
        name = format_html('<a href="{}">{}</a>', about.url, about.name) if about.url else about.name
        return format_html('<span class="kind">{}</span> {}', kind, name)

    @admin.display(description=gettext_lazy("changed"))
    def changed(self, entry: AuditLog) -> SafeString | str:
        differing = changes(entry.before, entry.after, kind=entry.entity_type)
        shown = format_html_join(
            "", '<div translate="no">{}</div>', ((_in_a_line(one),) for one in differing[:CHANGES_IN_A_LIST])
        )
        more = len(differing) - CHANGES_IN_A_LIST
        if more <= 0:
            return shown
        unshown = ngettext("and %(n)s more", "and %(n)s more", more) % {"n": more}
        return format_html("{}<div>{}</div>", shown, unshown)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        entry = self.get_object(request, object_id)
        own = self._page(request, entry) if entry else {}
        return super().change_view(request, object_id, form_url, {**own, **(extra_context or {})})

    def _page(self, request: HttpRequest, entry: AuditLog) -> dict[str, Any]:
        found = abouts([entry], signed_in(request), may_open(self.admin_site, request))
        return {
            "title": entry.get_action_display(),
            "subtitle": None,
            "entry": entry,
            "about": found[entry.pk],
            "kind": KINDS.get(entry.entity_type, entry.entity_type),
            "changes": changes(entry.before, entry.after, kind=entry.entity_type),
        }


def may_open(site: admin.AdminSite, request: HttpRequest) -> Callable[[type[Model]], bool]:
    def allowed(model: type[Model]) -> bool:
        return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)

    return allowed


def _in_a_line(change: Change) -> SafeString:
    before, after = (Truncator(value or "").chars(60) for value in (change.before, change.after))
    # As it was recorded, and as the API calls it.
    name = format_html('<span translate="no">{}</span>', change.name)
    return format_html("{}: {} → {}", name, before, after) if before else format_html("{}: {}", name, after)
