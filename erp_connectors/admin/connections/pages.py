"""The pages that bring a connection to work: its test, step by step, and the server's host key."""

import contextvars
import json
from collections.abc import Generator, Iterator
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from erp_connectors.admin.connections.form import is_unreadable, stored_config
from erp_connectors.admin.connections.setup import host_key_fields
from erp_connectors.config_fields import ConfigField, Purpose
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.connections import connection_test, host_keys, manage
from erp_connectors.services.connections.capabilities import SERVER_CAPABILITIES
from erp_connectors.services.connections.endpoint import where_of
from erp_connectors.services.connections.host_keys import Comparison
from erp_connectors.services.connections.support_email import erp_message
from erp_connectors.services.connections.test_report import ReportedStep, last_report
from erp_connectors.states import ExportStatus
from orderflow.tenancy.admin import OrgScopedAdmin
from orderflow.tenancy.permissions import signed_in

STREAM = "application/x-ndjson"
RUN_SOON = "test_connection"


def titled(connection: ERPConnection) -> str:
    """Return the connection's place, which users know it by, and its name."""
    return " · ".join(filter(None, (where_of(connection), str(connection))))


class ConnectionPages(OrgScopedAdmin):
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/test/", view(self.test_page), name="erp_connection_test"),
            path("<uuid:pk>/host-key/", view(self.host_key_page), name="erp_connection_host_key"),
            *super().get_urls(),
        ]

    def test_page(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """GET shows the last test, POST runs one: as a stream of lines for the page's script, else at once."""
        connection = self._wanted(request, pk)
        if request.method != "POST":
            context = {
                **self._context(request, connection, _("Test connection")),
                **_outcome(connection),
                "run_now": request.session.pop(RUN_SOON, None) == str(pk),
            }
            return TemplateResponse(request, "admin/erp_connectors/erpconnection/test.html", context)
        if STREAM in request.headers.get("Accept", ""):
            lines = _in_this_context(_test_lines(connection, signed_in(request)))
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingHttpResponse(lines, content_type=STREAM, headers=headers)
        connection_test.test_connection(connection.pk, actor=signed_in(request))
        return redirect("admin:erp_connection_test", pk)

    def host_key_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show the pinned keys (GET); fetch the server's keys, or pin the ticked ones (POST).

        ``of`` in the query names the config's key for them: the first one, or that of a jump host.
        """
        connection = self._wanted(request, pk)
        if is_unreadable(connection):
            return redirect("admin:erp_connectors_erpconnection_change", pk)
        fields = host_key_fields(connection, stored_config(connection))
        asked = request.GET.get("of", "")
        field = next((field for field in fields if asked in ("", field.name)), None)
        if field is None:
            raise Http404
        if request.method != "POST":
            pinned = host_keys.pinned_keys_of(connection, field.name)
            return self._host_keys(request, connection, field, pinned=pinned)
        if "pin" in request.POST:
            return self._pin(request, connection, field)
        of_hop = field.purpose is Purpose.HOP_HOST_KEY
        try:
            comparison = host_keys.compare(connection, field.name if of_hop else "")
        except Fault as fault:
            return self._host_keys(request, connection, field, fault=fault)
        return self._host_keys(request, connection, field, comparison=comparison)

    def _pin(self, request: HttpRequest, connection: ERPConnection, field: ConfigField) -> HttpResponse:
        ticked = host_keys.read_keys("\n".join(request.POST.getlist("key")))
        if not ticked:
            shown = tuple(host_keys.read_keys("\n".join(request.POST.getlist("shown"))))
            comparison = Comparison(host_keys.pinned_keys_of(connection, field.name), shown)
            return self._host_keys(request, connection, field, comparison=comparison, nothing_ticked=True)
        config = {**connection.config, field.name: host_keys.as_config(ticked)}
        manage.change_connection(connection.pk, actor=signed_in(request), config=config)
        pinned = ", ".join(key.fingerprint for key in ticked)
        self.message_user(request, _("Pinned: %(keys)s. Now test the connection.") % {"keys": pinned})
        run_soon(request, connection)
        return redirect("admin:erp_connection_test", connection.pk)

    def _host_keys(
        self, request: HttpRequest, connection: ERPConnection, field: ConfigField, **shown: Any
    ) -> HttpResponse:
        waiting = connection.exports.filter(status=ExportStatus.PENDING).count()
        others = [
            one for one in host_key_fields(connection, stored_config(connection)) if one.name != field.name
        ]
        context = {
            **self._context(request, connection, _(field.label)),
            "waiting": waiting,
            "other_keys": [(one.name, _(one.label)) for one in others],
            **shown,
        }
        return TemplateResponse(request, "admin/erp_connectors/erpconnection/host_key.html", context)

    def _wanted(self, request: HttpRequest, pk: UUID) -> ERPConnection:
        """Raises `PermissionDenied`, `Http404`."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        connection: ERPConnection | None = self.get_queryset(request).filter(pk=pk).first()
        if connection is None:
            raise Http404
        return connection

    def _context(self, request: HttpRequest, connection: ERPConnection, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": connection,
            "title": title,
            "subtitle": titled(connection),
            "media": self.media,
        }


def run_soon(request: HttpRequest, connection: ERPConnection) -> None:
    """The connection's test page starts a test when it is shown next; a link alone can't make it do that."""
    request.session[RUN_SOON] = str(connection.pk)


def _test_lines(connection: ERPConnection, actor: Any) -> Generator[str]:
    """A line for each step that is to come, one for each that is done, and one with the outcome."""
    for name, label in connection_test.planned_steps(connection):
        yield _line(name, "step", {"name": name, "label": label, "waiting": True})
    for step in connection_test.run_test(connection.pk, actor=actor):
        yield _line(step.name, "step", {"step": ReportedStep.of(step)})
    # Read the whole row again: refreshing would decrypt the config, which may be unreadable.
    yield _line(
        "outcome", "outcome", _outcome(ERPConnection.objects.select_related("org").get(pk=connection.pk))
    )


def _line(place: str, template: str, context: dict[str, Any]) -> str:
    html = render_to_string(f"admin/erp_connectors/erpconnection/_{template}.html", context)
    return json.dumps({"place": place, "html": html}) + "\n"


def _outcome(connection: ERPConnection) -> dict[str, Any]:
    report = last_report(connection)
    found = report.server_capabilities if report else {}
    return {
        "connection": connection,
        "report": report,
        "server_capabilities": [
            (_(label), found[name]) for name, label in SERVER_CAPABILITIES.items() if name in found
        ],
        "message": erp_message(connection, report),
    }


def _in_this_context(values: Generator[str]) -> Iterator[str]:
    """Produce the values of a streamed response with the scope and language of its request."""
    # Taken now: by the time the first line is asked for, the request is over for its middleware.
    return _running_in(contextvars.copy_context(), values)


def _running_in(context: contextvars.Context, values: Generator[str]) -> Iterator[str]:
    try:
        while value := context.run(next, values, ""):
            yield value
    finally:
        context.run(values.close)
