from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from erp_connectors.models import ERPConnection
from erp_connectors.notifications import digests, sending, subscriptions
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Channel, Subscription
from orderflow.tenancy.roles import Role
from tests import factories
from tests.servers.http_receiver import Receiver, http_receiver
from tests.servers.smtp import MailServer, mail_server
from tests.services.conftest import at_crashpoint as at_crashpoint
from tests.services.conftest import make_site as make_site
from tests.services.conftest import site as site

EVERY = list(Event.values)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOW_HTTP = True
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1", "localhost"]
    with http_receiver() as running:
        yield running


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    with mail_server() as running:
        settings.EMAIL_BACKEND = "erp_connectors.notifications.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.MAIL_IS_SET_UP = True
        yield running


@pytest.fixture(autouse=True)
def _public_url(settings: Any) -> None:
    settings.PUBLIC_URL = "https://orders.example.com"


def by_webhook(connection: ERPConnection, url: str, **fields: Any) -> Subscription:
    return _made(connection, channel=Channel.WEBHOOK, url=url, **fields)


def by_mail(connection: ERPConnection, *addresses: str, **fields: Any) -> Subscription:
    return _made(connection, addresses="\n".join(addresses), **fields)


def _made(connection: ERPConnection, **fields: Any) -> Subscription:
    values = {"org": connection.org, "connection": connection, "events": EVERY, **fields}
    subscription = Subscription(**values)
    subscriptions.create(subscription, actor=factories.user(connection.org, Role.ADMIN))
    return subscription


def round_of_notifications(after: timedelta = timedelta(minutes=1)) -> int:
    """What a sweep does once the window is over; returns how many were sent."""
    now = timezone.now() + after
    digests.gather(now)
    return sum(sending.send(pk) for pk in sending.due(timezone.now()))


Round = Callable[..., int]
