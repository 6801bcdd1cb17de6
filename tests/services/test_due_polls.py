from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.faults import PERMISSION_DENIED, Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks import poll
from erp_connectors.services.connections import change_connection
from erp_connectors.services.sweep import WAKE_UP_LOST, asked_to_poll, due_polls

MINUTE = timedelta(minutes=1)


@pytest.fixture
def broken(make_site):
    """A site whose ack folder is gone."""
    site = make_site()
    site.acks.rmdir()
    return site


def again(site):
    return ERPConnection.objects.get(pk=site.connection.pk)


def test_who_waits_for_a_worker_is_not_asked_for_again(site):
    now = timezone.now()
    asked_to_poll(due_polls(now), now)

    assert due_polls(now + MINUTE) == []
    assert due_polls(now + WAKE_UP_LOST + MINUTE) == [site.connection.pk]


def test_a_poll_that_was_done_is_due_again_an_interval_later(site):
    now = timezone.now()
    asked_to_poll(due_polls(now), now)
    poll(site.connection.pk)

    assert due_polls(timezone.now()) == []
    assert due_polls(timezone.now() + MINUTE) == [site.connection.pk]


def test_a_failing_connection_is_given_ever_more_time_up_to_a_quarter_of_an_hour(broken):
    pauses = []
    for _ in range(6):
        poll(broken.connection.pk)
        pauses.append(round((again(broken).poll_retry_at - again(broken).last_poll_at).total_seconds() / 60))

    assert pauses == [1, 2, 4, 8, 15, 15]
    assert due_polls(timezone.now() + 14 * MINUTE) == []
    assert due_polls(timezone.now() + 16 * MINUTE) == [broken.connection.pk]


def test_those_that_answer_come_first(broken, make_site):
    poll(broken.connection.pk)
    good = make_site()
    poll(good.connection.pk)

    assert due_polls(timezone.now() + MINUTE) == [good.connection.pk, broken.connection.pk]


def test_one_that_answers_again_is_polled_as_ever(broken):
    for _ in range(3):
        poll(broken.connection.pk)
    broken.acks.mkdir()
    poll(broken.connection.pk)

    assert (again(broken).poll_failures_in_row, again(broken).poll_retry_at) == (0, None)
    assert due_polls(timezone.now() + MINUTE) == [broken.connection.pk]


def test_a_change_or_a_passed_test_ends_the_waiting(broken):
    for end in (
        lambda: change_connection(
            broken.connection.pk, actor=None, config={**again(broken).config, "ack_timeout": 60}
        ),
        lambda: circuit.success(broken.connection.pk, now=timezone.now()),
    ):
        for _ in range(5):
            poll(broken.connection.pk)
        assert due_polls(timezone.now() + 2 * MINUTE) == []
        end()
        assert due_polls(timezone.now() + 2 * MINUTE) == [broken.connection.pk]
        broken.connection.refresh_from_db()


def test_no_right_to_move_files_is_no_reason_to_look_less_often(site, monkeypatch):
    site.answer("ack_x.json", b'{"status": "ACKED", "erp_order_id": "1"}')

    def denied(self, path):
        raise Fault(PERMISSION_DENIED, path=path)

    monkeypatch.setattr("erp_connectors.transports.filesystem.FilesystemTransport._make_folder", denied)
    assert "may not" in poll(site.connection.pk).trouble

    assert due_polls(timezone.now() + MINUTE) == [site.connection.pk]
