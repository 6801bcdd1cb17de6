"""The clock that leases and due times go by: the database's, which all hosts share."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone

# Between two readings the host's monotonic clock is used, because it can't be set.
READ_EVERY_SECONDS = 60.0
# An answer that took longer is used once and not counted on from.
SLOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Reading:
    at: datetime
    monotonic: float

    def age(self) -> float:
        return time.monotonic() - self.monotonic


_latest: _Reading | None = None


def now() -> datetime:
    """Return the time by the database's clock; it is asked once a minute. SQLite's clock is the host's."""
    global _latest  # noqa: PLW0603  # one per process
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return timezone.now()
    from psycopg.pq import TransactionStatus  # noqa: PLC0415  # with SQLite, no process loads PostgreSQL's driver

    reading = _latest
    if reading is None or reading.age() > READ_EVERY_SECONDS:
        connection.ensure_connection()
        if connection.connection.info.transaction_status == TransactionStatus.INERROR:
            # Such a transaction answers nothing; what is computed now is rolled back with it.
            return timezone.now() if reading is None else reading.at + timedelta(seconds=reading.age())
        reading = _read(connection)
        if reading.age() > SLOW_SECONDS:
            return reading.at
        _latest = reading
    return reading.at + timedelta(seconds=reading.age())


def host_is_ahead() -> timedelta:
    """Return how far this host's clock is ahead of the database's; negative if it is behind."""
    return timezone.now() - now()


def _read(connection: Any) -> _Reading:
    asked_at = time.monotonic()
    # Not through Django's cursor: it is no statement of the work at hand, which is counted and traced.
    with connection.wrap_database_errors:
        (at,) = connection.connection.execute("SELECT clock_timestamp()").fetchone()
    return _Reading(at.astimezone(UTC), asked_at)
