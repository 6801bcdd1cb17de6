"""A process that waits for SQLite's lock takes it soon after it is released."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from orderflow import database_settings

pytestmark = [pytest.mark.django_db, pytest.mark.not_of_database]

# SQLite alone looks after 228 and 328 ms, so it would be late by 60 ms or more.
HELD_SECONDS = 0.26
SOON_SECONDS = 0.04


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseDatabaseWrapper]:
    """A database with the product's settings, in a file of its own."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    config = database_settings.database(tmp_path, row_level_security=False)
    database: BaseDatabaseWrapper = ConnectionHandler({"default": config})["default"]
    _alone("CREATE TABLE item (number integer PRIMARY KEY)")(database)
    yield database
    database.close()


def _alone(statement: str) -> Callable[[BaseDatabaseWrapper], None]:
    def write(database: BaseDatabaseWrapper) -> None:
        with database.cursor() as cursor:
            cursor.execute(statement)

    return write


def _in_a_transaction(database: BaseDatabaseWrapper) -> None:
    with _transaction(database):
        _alone("DELETE FROM item")(database)


@contextmanager
def _transaction(database: BaseDatabaseWrapper) -> Iterator[None]:
    """As `transaction.atomic` does it, which knows only the databases of the settings."""
    database.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    try:
        yield
        database.commit()
    finally:
        database.set_autocommit(True)


@contextmanager
def _locked(database: BaseDatabaseWrapper, *, seconds: float) -> Iterator["Future[float]"]:
    """Let another connection hold the lock for a time; the result is when it was released."""
    held = Event()

    def hold() -> float:
        other = sqlite3.connect(database.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held.set()
        time.sleep(seconds)
        other.execute("COMMIT")
        released = time.monotonic()
        other.close()
        return released

    with ThreadPoolExecutor(1) as threads:
        released = threads.submit(hold)
        assert held.wait(10)
        yield released


@pytest.mark.parametrize(
    "write", [_in_a_transaction, _alone("DELETE FROM item")], ids=["transaction", "alone"]
)
def test_a_writer_gets_the_lock_soon_after_it_is_released(
    database: BaseDatabaseWrapper, write: Callable[[BaseDatabaseWrapper], None]
) -> None:
    late = []
    for _ in range(10):
        with _locked(database, seconds=HELD_SECONDS) as released:
            write(database)
            now = time.monotonic()
        late.append(now - released.result())
        # The machine may be busy, so once is enough. A longer sleep is never short.
        if late[-1] < SOON_SECONDS:
            return
    pytest.fail(f"late by {late}")


@pytest.mark.parametrize(
    "write", [_in_a_transaction, _alone("DELETE FROM item")], ids=["transaction", "alone"]
)
def test_a_writer_gives_up_after_the_timeout_of_the_settings(
    database: BaseDatabaseWrapper, write: Callable[[BaseDatabaseWrapper], None]
) -> None:
    database.close()
    database.settings_dict["OPTIONS"]["timeout"] = 0.1
    with _locked(database, seconds=1):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="locked"):
            write(database)
        assert 0.1 <= time.monotonic() - began < 1
    write(database)


def test_rows_written_outside_a_transaction_are_written_once(database: BaseDatabaseWrapper) -> None:
    with _locked(database, seconds=0.1), database.cursor() as cursor:
        cursor.executemany("INSERT INTO item VALUES (%s)", [(number,) for number in range(3)])
        cursor.execute("SELECT count(*) FROM item")
        assert cursor.fetchone() == (3,)


def test_sqlite_waits_alone_within_a_transaction(database: BaseDatabaseWrapper) -> None:
    """A statement that is repeated there could find that SQLite has rolled the transaction back."""
    assert _busy_timeout(database) == 15
    with _transaction(database):
        assert _busy_timeout(database) == 20_000
    assert _busy_timeout(database) == 15


def _busy_timeout(database: BaseDatabaseWrapper) -> int:
    with database.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        milliseconds: int = cursor.fetchone()[0]
    return milliseconds
