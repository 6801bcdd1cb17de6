"""Connections: set up by a form that their connector describes, then brought to work step by step."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.admin.connections.form import described_fields, form_for
from erp_connectors.admin.connections.pages import ConnectionPages, run_soon, titled
from erp_connectors.admin.connections.preview import make_preview, orders_to_preview
from erp_connectors.admin.connections.setup import setup_of
from erp_connectors.dropzones import limits_of
from erp_connectors.fault_records import hint_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.outbox.models import Subscription
from erp_connectors.registry import DEFAULT_CONNECTOR_TYPE, connector_types
from erp_connectors.services.connections import connection_test, manage, server_limits
from erp_connectors.services.connections.endpoint import where_of
from erp_connectors.services.connections.expiry_warnings import expiry_warnings
from erp_connectors.services.connections.manage import public_config
from erp_connectors.services.connections.move_waiting import move_waiting_exports
from erp_connectors.services.exports.receiving_connection import with_receives_orders
from erp_connectors.services.status.event_texts import fault_text
from erp_connectors.states import ConnectionStatus
from orderflow.messages import text
from orderflow.tenancy.admin import yes_or_no
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

LAST_SEEN = ("last_test_at", "passed", "last_success_at", "last_poll_at", "limits")


@admin.register(ERPConnection)
class ERPConnectionAdmin(ConnectionPages, OrgColumn):
    view = Capability.CONNECT
    change = Capability.CONNECT
    may_add = True
    audited = True
    actions = ("test_connections", "disable_connections", "move_waiting")
    list_display = (
        "place",
        "connector_type",
        "shown_status",
        "health",
        "watch",
        "last_test_at",
        "last_poll_at",
    )
    list_filter = ("status", "connector_type")
    ordering = ("-created_at",)
    list_select_related = ("org",)
    readonly_fields = ("health", "poll_health", *LAST_SEEN)

    class Media:
        css = {"all": ["erp_connectors/connection.css"]}
        js = ["erp_connectors/connection_form.js", "erp_connectors/copy.js"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return form_for(
            _type_of(request, obj),
            types=connector_types(),
            org=signed_in(request).org,
            chosen=obj is not None,
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        described = described_fields(_type_of(request, obj))
        own = ["connector_type", "status", *(["health", "poll_health"] if obj else [])]
        groups: dict[str, dict[str, Any]] = {}
        for field in described:
            folded = ("collapse",) if field.rare else ()
            groups.setdefault(field.group, {"fields": [], "classes": folded})["fields"].append(field.name)
        titled = [(_(name) if name else _("Settings"), options) for name, options in groups.items()]
        seen = [(_("Last activity"), {"fields": LAST_SEEN, "classes": ("collapse",)})] if obj else []
        return [(None, {"fields": own}), *titled, *seen]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Answer a POST of the preview button with the preview; nothing is saved."""
        if request.method == "POST" and "_preview" in request.POST:
            return self.preview_page(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def preview_page(self, request: HttpRequest, object_id: str | None) -> HttpResponse:
        connection = self.get_object(request, object_id) if object_id else None
        if object_id and connection is None:
            raise Http404
        allowed = (
            self.has_change_permission(request, connection)
            if connection
            else self.has_add_permission(request)
        )
        if not allowed:
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": connection,
            "title": _("Preview"),
            "media": self.media,
            "preview": make_preview(
                self.get_form(request, connection)(request.POST, instance=connection), signed_in(request)
            ),
        }
        return TemplateResponse(request, "admin/erp_connectors/erpconnection/preview.html", context)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        connection = kwargs.get("obj")
        context["preview_type"] = _type_of(request, connection)
        context["preview_orders"] = orders_to_preview(signed_in(request))
        if connection is not None:
            context["subtitle"] = titled(connection)
        if connection is not None and self.has_change_permission(request, connection):
            context["setup"] = setup_of(connection)
            notifications = self.admin_site.get_model_admin(Subscription)
            context["may_add_notification"] = notifications.has_add_permission(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: ERPConnection, form: Any, change: bool) -> None:
        actor = signed_in(request)
        try:
            if change:
                # A type that this deployment does not have keeps its config, and can still be disabled.
                config = form.config if form.described else None
                manage.change_connection(
                    obj.pk, actor=actor, config=config, status=form.cleaned_data["status"]
                )
            else:
                created = manage.create_connection(
                    obj.org, form.cleaned_data["connector_type"], form.config, actor=actor
                )
                obj.pk = created.pk
                obj._state.adding = False
        except manage.ConnectionConflict as refused:
            messages.set_level(request, messages.ERROR)
            self.message_user(request, f"{_('Nothing was saved.')} {text(refused.message)}", messages.ERROR)
        else:
            if form.generated:
                self.message_user(
                    request,
                    _("A new key pair was generated. Send the public key below to the ERP team."),
                )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """To its page, where what is left to do is listed, instead of back to the list."""
        if obj._state.adding:
            return redirect("admin:erp_connectors_erpconnection_add")
        return self._next_page(request, obj) or redirect("admin:erp_connectors_erpconnection_change", obj.pk)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._next_page(request, obj) or super().response_change(request, obj)

    def _next_page(self, request: HttpRequest, connection: ERPConnection) -> HttpResponse | None:
        if "_test" not in request.POST:
            return None
        run_soon(request, connection)
        return redirect("admin:erp_connection_test", connection.pk)

    @admin.display(description=gettext_lazy("limits of the server"))
    def limits(self, connection: ERPConnection) -> str:
        return "; ".join(map(text, server_limits.messages_of(limits_of(connection))))

    @admin.display(description=gettext_lazy("connection"))
    def place(self, connection: ERPConnection) -> str:
        return where_of(connection) or str(connection)

    def get_queryset(self, request: HttpRequest) -> Any:
        return with_receives_orders(super().get_queryset(request))

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def shown_status(self, connection: Any) -> str:
        """Say which of several active connections receives new orders."""
        status = str(connection.get_status_display())
        if connection.receives_orders is None:
            return status
        receives = _("receives new orders") if connection.receives_orders else _("receives no new orders")
        return f"{status}, {receives}"

    @admin.display(description=gettext_lazy("health"))
    def health(self, connection: ERPConnection) -> str:
        try:
            public_config(connection)
        except Fault as fault:
            return _fault(fault)
        if connection.circuit_open:
            reason = connection.circuit_reason or {}
            return format_html("<strong>{}</strong>: {} {}", _("held"), fault_text(reason), hint_of(reason))
        if connection.retry_at:
            return _("failing; next retry at %(time)s") % {
                "time": f"{localtime(connection.retry_at):%H:%M:%S}"
            }
        if connection.last_test_success is False:
            return _("the last test failed")
        return _("ok") if connection.last_test_success or connection.last_success_at else _("not tested yet")

    @admin.display(description=gettext_lazy("reminders"))
    def watch(self, connection: ERPConnection) -> str:
        found = expiry_warnings(connection, today=timezone.now().date())
        return format_html_join("", "<div>{}</div>", ((one.text,) for one in found))

    @admin.display(description=gettext_lazy("last test passed"), ordering="last_test_success")
    def passed(self, connection: ERPConnection) -> str:
        return yes_or_no(connection.last_test_success)

    @admin.display(description=gettext_lazy("answers"))
    def poll_health(self, connection: ERPConnection) -> str:
        problem = connection.poll_error
        return f"{fault_text(problem)} {hint_of(problem)}" if problem else _("ok")

    @admin.action(description=gettext_lazy("Test connection"), permissions=["change"])
    def test_connections(self, request: HttpRequest, rows: QuerySet[ERPConnection]) -> None:
        for row in rows:
            steps = connection_test.test_connection(row.pk, actor=signed_in(request))
            ok = all(step.ok for step in steps)
            verdict = _("works") if ok else _("does not work yet")
            text = format_html("{}: {}{}", row, verdict, _steps_as_html(steps))
            self.message_user(request, text, messages.SUCCESS if ok else messages.ERROR)

    @admin.action(description=gettext_lazy("Disable"), permissions=["change"])
    def disable_connections(self, request: HttpRequest, rows: QuerySet[ERPConnection]) -> None:
        for row in rows:
            manage.change_connection(row.pk, actor=signed_in(request), status=ConnectionStatus.DISABLED)
            self.message_user(
                request, _("%(row)s is disabled: it sends nothing and reads no answers.") % {"row": row}
            )

    @admin.action(
        description=gettext_lazy("Move waiting exports to the active connection"), permissions=["change"]
    )
    def move_waiting(self, request: HttpRequest, rows: QuerySet[ERPConnection]) -> None:
        for row in rows:
            try:
                done = move_waiting_exports(row.pk, actor=signed_in(request))
            except manage.ConnectionConflict as refused:
                self.message_user(request, f"{row}: {text(refused.message)}", messages.ERROR)
                continue
            values = {"row": row, "moved": done.moved, "target": done.target, "staged": done.staged}
            said = (
                ngettext(
                    "%(row)s: %(moved)s waiting export was moved to %(target)s.",
                    "%(row)s: %(moved)s waiting exports were moved to %(target)s.",
                    done.moved,
                )
                % values
            )
            if done.staged:
                said += (
                    " "
                    + ngettext(
                        "%(staged)s stays: its file was written already. Activate the connection to send it.",
                        "%(staged)s stay: a file of each was written already. Activate the connection to send them.",
                        done.staged,
                    )
                    % values
                )
            self.message_user(request, said, messages.WARNING if done.staged else messages.SUCCESS)


def _type_of(request: HttpRequest, connection: ERPConnection | None) -> str:
    if connection is not None:
        return connection.connector_type
    wanted = request.POST.get("connector_type") or request.GET.get("connector_type")
    return wanted if wanted in connector_types() else DEFAULT_CONNECTOR_TYPE


def _steps_as_html(steps: Any) -> SafeString:
    """The lines of a connection test for a message."""
    return format_html_join(
        "",
        "<br>{} {} ({} ms) {}",
        (
            (
                "✓" if step.ok else "✗",
                _(step.label),
                step.duration_ms,
                text(step.found) if step.ok else _fault(step.fault),
            )
            for step in steps
        ),
    )


def _fault(fault: Fault) -> str:
    return f"{text(fault.as_message())} {_(fault.kind.hint)}"
