"""The body of a webhook; the same bytes for each attempt."""

from datetime import datetime

import msgspec

from erp_connectors.notifications.links import link_to
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.notification_content import Facts, Instance, Way
from erp_connectors.outbox.events import TEST


class Data(msgspec.Struct, kw_only=True):
    org: str
    count: int
    since: datetime
    until: datetime
    first: list[Instance]
    url: str


class Payload(msgspec.Struct):
    type: str
    timestamp: datetime
    data: Data


def payload_of(notification: Notification) -> bytes:
    facts = msgspec.convert(notification.facts, Facts)
    data = Data(
        org=facts.org_slug,
        count=facts.count,
        since=facts.since,
        until=facts.until,
        first=facts.first,
        url=link_to(notification.event, facts),
    )
    return msgspec.json.encode(Payload(notification.event, notification.created_at, data))


def trial_payload(org_slug: str, way: Way | None, now: datetime) -> bytes:
    data = {"org": org_slug, "connection": way}
    return msgspec.json.encode({"type": TEST, "timestamp": now, "data": data})
