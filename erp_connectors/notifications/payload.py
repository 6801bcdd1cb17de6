"""The body of a webhook; the same bytes for each attempt."""

from datetime import datetime

import msgspec
from django.utils.translation import override

from erp_connectors.notifications.links import link_to
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import (
    ConnectionRef,
    NotificationContent,
    Occurrence,
    problem_of,
)
from erp_connectors.outbox.events import TEST, Event


class Change(Occurrence, frozen=True, kw_only=True):
    """A change with its texts in English. ``error_code`` is the ERP's."""

    error_code: str = ""
    message: str = ""
    hint: str = ""


class Data(msgspec.Struct, kw_only=True):
    org: str
    count: int
    since: datetime
    until: datetime
    first: list[Change]
    url: str


class Payload(msgspec.Struct):
    type: str
    timestamp: datetime
    data: Data


def payload_of(notification: Notification) -> bytes:
    content = msgspec.convert(notification.content, NotificationContent)
    data = Data(
        org=content.org_slug,
        count=content.count,
        since=content.since,
        until=content.until,
        first=[_change(Event(notification.event), one) for one in content.first],
        url=link_to(notification.event, content),
    )
    return msgspec.json.encode(Payload(notification.event, notification.created_at, data))


def _change(event: Event, one: Occurrence) -> Change:
    with override("en"):
        problem = problem_of(event, one)
    texts = {"error_code": one.error_code, "message": problem.cause, "hint": problem.hint}
    return msgspec.convert({**msgspec.to_builtins(one), **texts}, Change)


def trial_payload(org_slug: str, ref: ConnectionRef | None, now: datetime) -> bytes:
    data = {"org": org_slug, "connection": ref}
    return msgspec.json.encode({"type": TEST, "timestamp": now, "data": data})
