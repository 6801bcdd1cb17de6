from datetime import timedelta

import pytest
from django_q.models import OrmQ

from erp_connectors import circuit, leases, tasks
from erp_connectors.faults import PERMISSION_DENIED, Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.services.upkeep.sweep import due_polls
from orderflow import clock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def broken(make_site):
    """A site whose ack folder is gone."""
    site = make_site()
    site.acks.rmdir()
    return site


def again(site):
    return ERPConnection.objects.get(pk=site.connection.pk)


def test_a_connection_stays_due_until_it_is_polled_however_often_it_was_woken(site):
    for _ in range(3):
        assert tasks.poll_due() == "1 polls woken"
        OrmQ.objects.all().delete()


def test_the_second_of_two_wake_ups_does_nothing(site):
    assert "0 ack files" in tasks.poll_if_due(str(site.connection.pk))
    assert "not due" in tasks.poll_if_due(str(site.connection.pk))


def test_a_connection_whose_worker_was_killed_is_due_within_a_poll_interval(site, settings):
    settings.ACK_POLL_INTERVAL_SECONDS, settings.DELIVERY_LEASE_SECONDS = 60, 120
    lease = leases.take(site.connection.pk, leases.POLL)
    assert lease is not None
    now = clock.now()

    assert due_polls(now + timedelta(seconds=55)) == []
    assert due_polls(now + timedelta(seconds=61)) == [site.connection.pk]


def test_a_poll_that_was_done_is_due_again_an_interval_later(site):
    poll(site.connection.pk)

    assert due_polls(clock.now()) == []
    assert due_polls(clock.now() + MINUTE) == [site.connection.pk]


def test_a_failing_connection_is_given_ever_more_time_up_to_a_quarter_of_an_hour(broken):
    pauses = []
    for _ in range(6):
        poll(broken.connection.pk)
        pauses.append(round((again(broken).poll_retry_at - again(broken).last_poll_at).total_seconds() / 60))

    assert pauses == [1, 2, 4, 8, 15, 15]
    assert due_polls(clock.now() + 14 * MINUTE) == []
    assert due_polls(clock.now() + 16 * MINUTE) == [broken.connection.pk]


def test_those_that_answer_come_first(broken, make_site):
    poll(broken.connection.pk)
    good = make_site()
    poll(good.connection.pk)

    assert due_polls(clock.now() + MINUTE) == [good.connection.pk, broken.connection.pk]


def test_one_that_answers_again_is_polled_as_ever(broken):
    for _ in range(3):
        poll(broken.connection.pk)
    broken.acks.mkdir()
    poll(broken.connection.pk)

    assert (again(broken).poll_failures_in_row, again(broken).poll_retry_at) == (0, None)
    assert due_polls(clock.now() + MINUTE) == [broken.connection.pk]


def test_a_change_or_a_passed_test_ends_the_waiting(broken):
    for end in (
        lambda: change_connection(
            broken.connection.pk, actor=None, config={**again(broken).config, "ack_timeout": 60}
        ),
        lambda: circuit.success(broken.connection.pk, now=clock.now()),
    ):
        for _ in range(5):
            poll(broken.connection.pk)
        assert due_polls(clock.now() + 2 * MINUTE) == []
        end()
        assert due_polls(clock.now() + 2 * MINUTE) == [broken.connection.pk]
        broken.connection.refresh_from_db()


def test_no_right_to_move_files_is_no_reason_to_look_less_often(site, monkeypatch):
    site.answer("ack_x.json", b'{"status": "ACKED", "erp_order_id": "1"}')

    def denied(self, path):
        raise Fault(PERMISSION_DENIED, path=path)

    monkeypatch.setattr("erp_connectors.transports.filesystem.FilesystemTransport._make_folder", denied)
    assert "may not" in poll(site.connection.pk).error

    assert due_polls(clock.now() + MINUTE) == [site.connection.pk]
