"""Connections: typed fields from the connector's own description; secrets are write-only."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.html import format_html

from erp_connectors.admin.columns import OrgColumn
from erp_connectors.admin.exports import steps_as_html
from erp_connectors.connectors.base import ConfigError, ConfigField
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.registry import connector_for, connector_types
from erp_connectors.services import connections, probe
from erp_connectors.states import ConnectionStatus
from orderflow.generics import ModelForm
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

CONNECTOR_TYPE = "DROPZONE_JSON_V1"
LAST_SEEN = ("last_test_at", "last_test_success", "last_success_at", "last_poll_at")
LONG_TEXTS = ("ssh_key", "host_key")


class WriteOnlyTextarea(forms.Textarea):
    """A password input of several lines: what was typed is not sent back, not even beside an error."""

    def format_value(self, value: Any) -> str:
        return ""


class ConnectionForm(ModelForm):
    """A field per key of the config; an empty secret keeps the stored one."""

    class Meta:
        model = ERPConnection
        fields = ("connector_type", "status")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.described = connector_for(self.instance.connector_type or CONNECTOR_TYPE).describe_config()
        self.stored = self._stored()
        for described in self.described:
            self.fields[described.name] = _form_field(described, self.stored)

    def _stored(self) -> dict[str, Any]:
        if self.instance._state.adding:
            return {}
        try:
            return dict(self.instance.config)
        except Fault:
            # It can't be decrypted any more: the page says so, and takes new details.
            return {}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.config = {
            described.name: value
            for described in self.described
            if (value := self._value(described, cleaned.get(described.name))) is not None
        }
        try:
            connector_for(cleaned.get("connector_type") or CONNECTOR_TYPE).parse_config(self.config)
        except ConfigError as error:
            for key, problem in error.problems.items():
                self.add_error(key if key in self.fields else None, problem)
        self._require_only_active(cleaned)
        return cleaned

    def _value(self, described: ConfigField, value: Any) -> Any:
        if isinstance(value, str):
            # Browsers send CRLF, and keys are compared as they were stored.
            value = value.replace("\r\n", "\n")
        if described.secret and not value:
            value = self.stored.get(described.name)
        foreign = described.modes and self.cleaned_data.get("mode") not in described.modes
        return None if value in ("", None) or foreign else value

    def _require_only_active(self, cleaned: dict[str, Any]) -> None:
        others = ERPConnection.objects.filter(
            org=self.instance.org_id,
            connector_type=cleaned.get("connector_type"),
            status=ConnectionStatus.ACTIVE,
        ).exclude(pk=self.instance.pk)
        if cleaned.get("status") == ConnectionStatus.ACTIVE and others.exists():
            self.add_error(
                "status", "This org already has an active connection of this type. Disable it first."
            )


def _form_field(described: ConfigField, stored: dict[str, Any]) -> forms.Field:
    common: dict[str, Any] = {"required": False, "help_text": described.help}
    value = stored.get(described.name, described.default)
    if described.name == "mode":
        return forms.ChoiceField(
            choices=[("sftp", "sftp"), ("filesystem", "filesystem")], initial=value, **common
        )
    if described.type == "boolean":
        return forms.BooleanField(initial=value, **common)
    if described.secret:
        common["help_text"] += " It is set; leave this empty to keep it." if described.name in stored else ""
        secret: type[forms.Widget] = (
            WriteOnlyTextarea if described.name in LONG_TEXTS else forms.PasswordInput
        )
        # Browsers fill saved logins into anything that looks like a password, unless it is said to be a new one.
        return forms.CharField(widget=secret(attrs={"autocomplete": "new-password"}), strip=False, **common)
    if described.type in ("integer", "number"):
        number = forms.IntegerField if described.type == "integer" else forms.FloatField
        return number(initial=value, **common)
    long = described.name in LONG_TEXTS
    text: forms.Widget = forms.Textarea(attrs={"rows": 2}) if long else forms.TextInput(attrs={"size": 60})
    return forms.CharField(initial=value, widget=text, **common)


@admin.register(ERPConnection)
class ERPConnectionAdmin(OrgColumn):
    view = Capability.CONNECT
    change = Capability.CONNECT
    may_add = True
    form = ConnectionForm
    actions = ("test_connections", "disable_connections")
    list_display = ("__str__", "status", "health", "last_test_at", "last_test_success", "last_poll_at")
    list_filter = ("status", "connector_type")
    ordering = ("-created_at",)
    list_select_related = ("org",)
    readonly_fields = ("health", "poll_health", *LAST_SEEN)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        org = signed_in(request).org

        class InOrg(ConnectionForm):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                if self.instance._state.adding and org is not None:
                    self.instance.org = org
                self.fields["connector_type"] = forms.ChoiceField(
                    choices=[(name, name) for name in connector_types()],
                    initial=CONNECTOR_TYPE,
                    disabled=not self.instance._state.adding,
                )

        return InOrg

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        described = connector_for(obj.connector_type if obj else CONNECTOR_TYPE).describe_config()
        always = [field.name for field in described if not field.modes]
        sftp = [field.name for field in described if field.modes]
        return [
            (None, {"fields": ["connector_type", "status", *(["health", "poll_health"] if obj else [])]}),
            ("Dropzone", {"fields": always}),
            ("SFTP server (mode sftp only)", {"fields": sftp}),
            *([("Last seen", {"fields": LAST_SEEN})] if obj else []),
        ]  # fmt: skip

    def save_model(self, request: HttpRequest, obj: ERPConnection, form: Any, change: bool) -> None:
        actor = signed_in(request)
        try:
            if change:
                connections.change_connection(
                    obj.pk, actor=actor, config=form.config, status=form.cleaned_data["status"]
                )
            else:
                created = connections.create_connection(
                    obj.org, form.cleaned_data["connector_type"], form.config, actor=actor
                )
                obj.pk = created.pk
                obj._state.adding = False
        except connections.ConnectionConflict as refused:
            messages.set_level(request, messages.ERROR)
            self.message_user(request, f"Nothing was saved. {refused}", messages.ERROR)

    @admin.display(description="health")
    def health(self, connection: ERPConnection) -> str:
        try:
            _ = connection.config
        except Fault as fault:
            return f"{fault.message} {fault.kind.hint}"
        if connection.circuit_open:
            reason = connection.circuit_reason or {}
            return format_html(
                "<strong>held</strong>: {} {}", reason.get("message", ""), reason.get("hint", "")
            )
        if connection.retry_at:
            return f"trouble; the next try is at {connection.retry_at:%H:%M:%S} UTC"
        if connection.last_test_success is False:
            return "the last test failed"
        return "ok" if connection.last_test_success or connection.last_success_at else "not tried yet"

    @admin.display(description="answers")
    def poll_health(self, connection: ERPConnection) -> str:
        trouble = connection.poll_trouble
        return f"{trouble['message']} {trouble['hint']}" if trouble else "ok"

    @admin.action(description="Test connection", permissions=["change"])
    def test_connections(self, request: HttpRequest, rows: QuerySet[ERPConnection]) -> None:
        for row in rows:
            self._test(request, row)

    @admin.action(description="Disable", permissions=["change"])
    def disable_connections(self, request: HttpRequest, rows: QuerySet[ERPConnection]) -> None:
        for row in rows:
            connections.change_connection(row.pk, actor=signed_in(request), status=ConnectionStatus.DISABLED)
            self.message_user(request, f"{row} is disabled: it sends nothing and reads no answers.")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test_one)
        return [path("<uuid:pk>/test/", view, name="erp_connection_test"), *super().get_urls()]

    def test_one(self, request: HttpRequest, pk: Any) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        row = get_object_or_404(self.get_queryset(request), pk=pk)
        self._test(request, row)
        return redirect("admin:erp_connectors_erpconnection_change", row.pk)

    def _test(self, request: HttpRequest, row: ERPConnection) -> None:
        steps = probe.test_connection(row.pk, actor=signed_in(request))
        ok = all(step.ok for step in steps)
        text = format_html("{}: {}{}", row, "works" if ok else "does not work yet", steps_as_html(steps))
        self.message_user(request, text, messages.SUCCESS if ok else messages.ERROR)
