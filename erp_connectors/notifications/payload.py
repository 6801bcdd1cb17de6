"""The body of a webhook; the same bytes for each attempt."""

from datetime import datetime

import msgspec

from erp_connectors.notifications.links import link_to
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import ConnectionRef, NotificationContent, Occurrence
from erp_connectors.outbox.events import TEST


class Data(msgspec.Struct, kw_only=True):
    org: str
    count: int
    since: datetime
    until: datetime
    first: list[Occurrence]
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
        first=content.first,
        url=link_to(notification.event, content),
    )
    return msgspec.json.encode(Payload(notification.event, notification.created_at, data))


def trial_payload(org_slug: str, ref: ConnectionRef | None, now: datetime) -> bytes:
    data = {"org": org_slug, "connection": ref}
    return msgspec.json.encode({"type": TEST, "timestamp": now, "data": data})
