"""What is news: each change once, whatever is tried again."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.faults import LOGIN_REFUSED, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.notifications import digests
from erp_connectors.notifications.models import Notification
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import PendingEvent
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery import deliver
from erp_connectors.services.exports import deadlines, push
from orderflow.orders.models import DraftOrderLine
from tests import factories
from tests.notifications.conftest import by_mail
from tests.services.acks.test_poll import sent

REFUSED = b'{"status": "FAILED", "error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}'
LATER = timedelta(minutes=1)


def noted():
    return list(PendingEvent.objects.order_by("pk").values_list("event", flat=True))


def told(after=LATER):
    digests.gather(timezone.now() + after)
    return list(Notification.objects.order_by("created_at", "event").values_list("event", "content__count"))


def broken(site):
    """Its folder is gone, which is the connection's fault."""
    site.inbox.rename(site.inbox.with_name("elsewhere"))


def mended(site):
    site.inbox.with_name("elsewhere").rename(site.inbox)


def due_again(site):
    ERPConnection.objects.filter(pk=site.connection.pk).update(retry_at=None)


def push_one(site):
    return push.push(factories.draft(site.org).pk, actor=None).export


def push_unprintable(site):
    """An order that fails by itself, whatever the connection does."""
    export = push_one(site)
    DraftOrderLine.objects.filter(draft_order=export.draft_order).update(internal_sku="")
    return export


def open_circuit(row):
    reason = Fault(LOGIN_REFUSED, "as u").as_error(stage="connect", attempt=1, at=timezone.now())
    circuit.open_circuit(row, reason, now=timezone.now())


def test_where_nobody_listens_nothing_is_kept(site):
    by_mail(site.connection, "a@example.com", active=False)
    broken(site)
    push_one(site)
    deliver.deliver(site.connection.pk)

    assert noted() == []


def test_a_failure_and_the_circuit_it_opens_are_told_each(site):
    by_mail(site.connection, "a@example.com")
    broken(site)
    push_unprintable(site), push_one(site)
    deliver.deliver(site.connection.pk)

    assert noted() == [Event.EXPORT_FAILED, Event.CIRCUIT_OPENED]
    assert told() == [(Event.CIRCUIT_OPENED, 1), (Event.EXPORT_FAILED, 1)]


def test_probes_that_fail_are_no_news(site):
    by_mail(site.connection, "a@example.com")
    broken(site)
    push_one(site), push_one(site)
    for _ in range(4):
        due_again(site)
        deliver.deliver(site.connection.pk)

    assert noted() == [Event.CIRCUIT_OPENED], "no order fails for it"


def test_a_circuit_that_closes_and_opens_with_each_probe_is_told_once(site):
    by_mail(site.connection, "a@example.com", events=[Event.CIRCUIT_OPENED, Event.CIRCUIT_CLOSED])
    open_circuit(site.connection)
    told()
    for hour in range(1, 4):
        circuit.success(site.connection.pk, now=timezone.now())
        open_circuit(site.connection)
        told(timedelta(hours=hour))

    assert told(timedelta(hours=9)) == [(Event.CIRCUIT_OPENED, 1)]


def test_a_circuit_that_closes_is_told_to_who_wants_only_that(site):
    by_mail(site.connection, "a@example.com", events=[Event.CIRCUIT_CLOSED])
    open_circuit(site.connection)
    assert told() == []
    circuit.success(site.connection.pk, now=timezone.now())
    circuit.success(site.connection.pk, now=timezone.now())

    assert told() == [(Event.CIRCUIT_CLOSED, 1)]


def test_who_subscribes_to_a_held_connection_is_told_when_it_works_again(site):
    open_circuit(site.connection)
    by_mail(site.connection, "a@example.com")
    circuit.success(site.connection.pk, now=timezone.now())

    assert told() == [(Event.CIRCUIT_CLOSED, 1)]


def test_failing_again_after_a_retry_is_news(site):
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_FAILED])
    first = push_unprintable(site)
    deliver.deliver(site.connection.pk)
    assert told() == [(Event.EXPORT_FAILED, 1)]
    Notification.objects.update(sent_at=timezone.now())

    push.retry_push(first.draft_order_id, actor=None)
    circuit.success(site.connection.pk, now=timezone.now())
    deliver.deliver(site.connection.pk)

    assert told(timedelta(hours=1)) == [(Event.EXPORT_FAILED, 1), (Event.EXPORT_FAILED, 1)]


def test_a_refusal_is_told_with_the_erps_words_and_a_repeated_one_is_not(site):
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_REFUSED])
    (export,) = sent(site)
    for _ in range(2):
        site.answer(f"error_{export.filename}", REFUSED)
        poll(site.connection.pk)

    assert told() == [(Event.EXPORT_REFUSED, 1)]
    (one,) = Notification.objects.get().content["first"]
    assert one["order_number"] == export.draft_order.external_order_number
    assert one["params"] == {"error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}


def test_overdue_is_told_once_even_if_it_is_pardoned_between(make_site):
    site = make_site(ack_timeout=600)
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_OVERDUE])
    sent(site)
    late = timezone.now() + timedelta(minutes=11)
    deadlines.mark_overdue(late)
    ERPExport.objects.update(overdue_at=None)
    deadlines.mark_overdue(late)

    assert noted() == [Event.EXPORT_OVERDUE]


def test_what_was_put_right_before_anybody_was_told_is_no_news(make_site):
    site = make_site(ack_timeout=600)
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_OVERDUE])
    (export,) = sent(site)
    deadlines.mark_overdue(timezone.now() + timedelta(minutes=11))
    site.answer(f"ack_{export.filename}", b'{"status": "ACKED", "erp_order_id": "SO-1"}')
    poll(site.connection.pk)

    assert told(timedelta(hours=1)) == []
    assert noted() == []


def test_what_is_rolled_back_was_never_noted(site):
    by_mail(site.connection, "a@example.com")
    with pytest.raises(RuntimeError), transaction.atomic():
        open_circuit(site.connection)
        raise RuntimeError

    assert noted() == []


def test_another_connections_and_another_orgs_changes_are_not_told(make_site):
    mine, other = make_site(), make_site()
    by_mail(mine.connection, "a@example.com")
    open_circuit(other.connection)

    assert noted() == []


@pytest.mark.deep
def test_a_thousand_failures_by_one_cause_are_one_notification_that_names_five(site):
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_REFUSED])
    exports = sent(site, 1000)
    for export in exports:
        site.answer(f"error_{export.filename}", REFUSED)
    while poll(site.connection.pk).more:
        pass

    assert told() == [(Event.EXPORT_REFUSED, 1000)]
    assert len(Notification.objects.get().content["first"]) == 5
    assert noted() == []


def test_what_goes_on_failing_is_gathered_while_the_pause_lasts(site):
    by_mail(site.connection, "a@example.com", events=[Event.EXPORT_REFUSED])
    exports = sent(site, 4)
    for n, export in enumerate(exports):
        site.answer(f"error_{export.filename}", REFUSED)
        poll(site.connection.pk)
        told(timedelta(minutes=1 + n))
        Notification.objects.update(sent_at=timezone.now())

    assert told(timedelta(minutes=5)) == [(Event.EXPORT_REFUSED, 1)]
    assert told(timedelta(minutes=20)) == [(Event.EXPORT_REFUSED, 1), (Event.EXPORT_REFUSED, 3)]
