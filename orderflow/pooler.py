"""Detect a connection pooler such as PgBouncer between this program and PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# In session mode each client keeps its server session, so asking again changes nothing; other clients may interfere.
_TRIES = 3


class Pooling(StrEnum):
    """``SESSION``: a pooler that was not seen to give this client another server session."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


def detect(connection: BaseDatabaseWrapper) -> Pooling:
    """Return how statements reach the server. Opens two more connections if there is a pooler."""
    if connection.vendor != "postgresql" or _is_direct(connection):
        return Pooling.NONE
    with closing(connection.copy()) as first, closing(connection.copy()) as second:
        for _ in range(_TRIES):
            mine = _server_process(first)
            with _transaction(second):
                # In session mode the first client, which is still connected, keeps its server session to itself.
                if _server_process(second) == mine or _server_process(first) != mine:
                    return Pooling.TRANSACTION
    return Pooling.SESSION


def _is_direct(connection: BaseDatabaseWrapper) -> bool:
    """A pooler answers the login itself, with a made-up process id."""
    connection.ensure_connection()
    return bool(connection.connection.info.backend_pid == _server_process(connection))


def _server_process(connection: BaseDatabaseWrapper) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


@contextmanager
def _transaction(connection: Any) -> Iterator[None]:
    # `transaction.atomic` looks connections up by alias, and this one is a copy.
    connection.set_autocommit(False)
    try:
        yield
    finally:
        connection.rollback()
        connection.set_autocommit(True)
