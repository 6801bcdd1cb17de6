"""Several workers at once, and one that is killed: a notification is made once, and told at least once."""

import os
import signal
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from erp_connectors import crashpoints
from erp_connectors.notifications import digests, sending
from erp_connectors.notifications.models import Notification
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription
from erp_connectors.services.exports import deadlines
from tests.notifications.conftest import by_mail, by_webhook
from tests.notifications.test_pending_events import noted, open_circuit
from tests.services.acks.test_poll import sent
from tests.services.delivery.test_concurrency import THREADS, together

pytestmark = pytest.mark.django_db(transaction=True)
LATER = timedelta(minutes=1)


def test_many_gatherers_make_one_notification_and_many_senders_send_it_once(site, receiver):
    subscription = by_webhook(site.connection, receiver.url)
    open_circuit(site.connection)

    made = together(lambda: digests.gather(timezone.now() + LATER))
    done = together(lambda: sending.send(subscription.pk))

    assert (sum(made), sum(done), len(receiver.got)) == (1, 1, 1)
    assert len(made) == THREADS
    assert Notification.objects.get().sent_at


def test_of_many_sweeps_one_tells_what_is_overdue(make_site):
    site = make_site(ack_timeout=600)
    by_mail(site.connection, "a@example.com")
    sent(site, 3)
    late = timezone.now() + timedelta(minutes=11)

    together(lambda: deadlines.mark_overdue(late))

    assert noted() == [Event.EXPORT_OVERDUE] * 3


def test_a_worker_killed_between_send_and_mark_is_followed_by_another_with_the_same_id(site, receiver):
    subscription = by_webhook(site.connection, receiver.url)
    open_circuit(site.connection)
    digests.gather(timezone.now() + LATER)
    connection.close()  # so that the child opens one of its own

    child = os.fork()
    if child == 0:
        crashpoints.listener = lambda name: os.kill(os.getpid(), signal.SIGKILL)
        sending.send(subscription.pk)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert sending.due(timezone.now()) == []  # it may only be slow
    assert sending.due(timezone.now() + sending.SENDING.duration() + LATER) == [subscription.pk]
    Subscription.objects.update(lease_until=timezone.now() - LATER)
    assert sending.send(subscription.pk) == 1
    assert [request.headers["webhook-id"] for request in receiver.got] == [
        str(Notification.objects.get().pk)
    ] * 2
