"""The content of a notification as values: made once, stored in its row, formatted for e-mails and webhooks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from erp_connectors.fault_records import FaultRecord
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import PendingEvent, Subscription
from erp_connectors.services.connections.endpoint import where_of
from erp_connectors.services.exports import deadlines
from erp_connectors.services.status.connection_health import ConnectionProblem
from erp_connectors.states import ExportStatus

NAMED = 5
LONGEST = 300


class ConnectionRef(msgspec.Struct, frozen=True):
    """A connection, as users recognise it."""

    id: str
    name: str
    where: str


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One of the changes; those of a circuit have no order."""

    at: datetime
    connection: ConnectionRef
    export_id: str = ""
    order_id: str = ""
    order_number: str = ""
    filename: str = ""
    code: str = ""
    params: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def error_code(self) -> str:
        """Return the ERP's code of a refusal."""
        return str(self.params.get("error_code") or "")


class NotificationContent(msgspec.Struct, frozen=True, kw_only=True):
    """``count`` changes from ``since`` to ``until``; ``first`` names only the earliest of them."""

    org: str
    org_slug: str
    count: int
    since: datetime
    until: datetime
    first: list[Occurrence]


def content_of(
    subscription: Subscription, event: Event, pending_events: Sequence[PendingEvent]
) -> NotificationContent:
    """``pending_events`` in their order, with connection, export and draft order at hand."""
    named = pending_events[:NAMED]
    connections = {one.connection_id: connection_ref(one.connection) for one in named}
    return NotificationContent(
        org=subscription.org.name,
        org_slug=subscription.org.slug,
        count=len(pending_events),
        since=pending_events[0].at,
        until=pending_events[-1].at,
        first=[_occurrence(one, event, connections[one.connection_id]) for one in named],
    )


def connection_ref(connection: ERPConnection) -> ConnectionRef:
    return ConnectionRef(str(connection.pk), connection.connector_type, where_of(connection))


def still_true(event: Event, export: ERPExport) -> bool:
    """Return False if the problem was solved before a notification was sent."""
    if event is Event.EXPORT_OVERDUE:
        return export.is_overdue
    return export.status == ExportStatus.FAILED


def _occurrence(pending_event: PendingEvent, event: Event, ref: ConnectionRef) -> Occurrence:
    export = pending_event.export
    if export is None:
        reason = pending_event.connection.circuit_reason or {} if event is Event.CIRCUIT_OPENED else {}
        return Occurrence(at=pending_event.at, connection=ref, **_why(reason))
    return Occurrence(
        at=pending_event.at,
        connection=ref,
        export_id=str(export.pk),
        order_id=str(export.draft_order_id),
        order_number=_clean(export.draft_order.external_order_number),
        filename=export.filename,
        **({} if event is Event.EXPORT_OVERDUE else _why(export.error_json or {})),
    )


def problem_of(event: Event, one: Occurrence) -> ConnectionProblem:
    """Return cause and hint in the active language; both are empty if there is no problem."""
    if one.code:
        return ConnectionProblem.of({"code": one.code, "params": one.params})
    if event is Event.EXPORT_OVERDUE:
        return ConnectionProblem("", _(deadlines.MEANING), _(deadlines.HINT))
    return ConnectionProblem("", "", "")


def _why(record: FaultRecord) -> dict[str, Any]:
    return {"code": _clean(record.get("code")), "params": _clean_params(record.get("params") or {})}


def _clean_params(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _clean_params(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_clean_params(one) for one in value]
    return value if isinstance(value, int) else _clean(value)


def _clean(value: object) -> str:
    """Return the text of an ERP or customer as one line of printable characters."""
    text = " ".join(str(value or "").split())
    readable = "".join(sign for sign in text if sign.isprintable())
    return readable if len(readable) <= LONGEST else f"{readable[: LONGEST - 1]}…"
