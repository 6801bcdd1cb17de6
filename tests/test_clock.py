"""Leases and due times go by the database's clock; that of the host decides nothing."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.upkeep.sweep import due_deliveries, due_polls
from orderflow import clock
from orderflow.heartbeat.models import Heartbeat
from tests.services.conftest import make_site, site  # noqa: F401  # fixtures

HOURS = timedelta(hours=5)
SOON = timedelta(seconds=5)


@pytest.fixture
def host_is_ahead(monkeypatch):
    real = timezone.now
    monkeypatch.setattr(clock, "_latest", None)
    monkeypatch.setattr("django.utils.timezone.now", lambda: real() + HOURS)
    return real


def test_it_is_the_time(db):
    assert abs(clock.now() - timezone.now()) < SOON
    assert abs(clock.host_is_ahead()) < SOON


@pytest.mark.postgres_only
def test_a_host_that_is_ahead_is_found(db, host_is_ahead):
    assert abs(clock.now() - host_is_ahead()) < SOON
    assert abs(clock.host_is_ahead() - HOURS) < SOON


@pytest.mark.postgres_only
def test_nothing_that_a_host_ahead_wrote_lies_hours_ahead(site, host_is_ahead):  # noqa: F811
    lease = leases.take(site.connection.pk, leases.DELIVERY)
    assert lease is not None
    leases.renew(lease)
    site.acks.rmdir()
    poll(site.connection.pk)
    Heartbeat.beat("ahead")

    row = ERPConnection.objects.get(pk=site.connection.pk)
    for moment in (row.delivery_lease_until, row.last_poll_at, row.poll_retry_at):
        assert moment is not None
        assert moment < host_is_ahead() + timedelta(minutes=5)
    assert Heartbeat.objects.get(cluster="ahead").beat_at < host_is_ahead() + SOON


@pytest.mark.postgres_only
def test_a_host_that_is_ahead_takes_no_lease_that_another_holds(site, host_is_ahead, monkeypatch):  # noqa: F811
    with monkeypatch.context() as right:
        right.setattr("django.utils.timezone.now", host_is_ahead)
        assert leases.take(site.connection.pk, leases.POLL) is not None

    assert leases.take(site.connection.pk, leases.POLL) is None
    assert due_polls(clock.now()) == due_deliveries(clock.now()) == []


@pytest.mark.postgres_only
def test_the_database_is_asked_once_a_minute(db, monkeypatch):
    monkeypatch.setattr(clock, "_latest", None)
    asked = []
    read = clock._read

    def counted(connection):
        asked.append(1)
        return read(connection)

    monkeypatch.setattr(clock, "_read", counted)

    moments = [clock.now() for _ in range(50)]
    assert (len(asked), moments) == (1, sorted(moments))

    monkeypatch.setattr(clock, "READ_EVERY_SECONDS", 0.0)
    clock.now()
    assert len(asked) == 2


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_that_failed_it_still_answers(monkeypatch):
    monkeypatch.setattr(clock, "READ_EVERY_SECONDS", 0.0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        assert abs(clock.now() - timezone.now()) < SOON
        raise ZeroDivisionError
