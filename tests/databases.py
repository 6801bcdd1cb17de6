"""The test database: migrated once per run, copied for each worker, emptied after each test that commits."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections, transaction
from django.test import TransactionTestCase

# Rows that migrations make and that no test changes.
_KEPT = {"django_migrations", "django_content_type", "auth_permission"}
_SCHEDULES = "django_q_schedule"
_migrated_schedules: list[Any] = []


def use_copy(name: str) -> None:
    """Connect to a copy called ``name`` of a migrated database, which the first process of this run makes."""
    creation = connection.creation
    template = creation._get_test_db_name()  # type: ignore[attr-defined]  # as Django's own runner does
    folder = Path(settings.VAR) / "test"
    folder.mkdir(exist_ok=True)
    with _locked(folder / "lock"):
        if (folder / "migrated").exists():
            connection.close()
            connection.settings_dict["NAME"] = settings.DATABASES["default"]["NAME"] = template
        else:
            creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
            if connection.vendor == "sqlite":
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")  # only the main file is copied
            connection.close()  # PostgreSQL copies only a database to which no client is connected
            (folder / "migrated").touch()
        creation.clone_test_db(name, verbosity=0, autoclobber=True)
    connection.settings_dict.update(creation.get_test_db_clone_settings(name))
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"]
    _migrated_schedules[:] = _schedules(connection)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install() -> None:
    """Replace Django's flush between tests that commit: it empties every table and runs all post-migrate receivers."""
    TransactionTestCase._fixture_teardown = _empty_all  # type: ignore[attr-defined]


def _empty_all(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        empty(connections[alias])


def empty(database: Any) -> None:
    """Delete all rows but those that the migrations made."""
    from orderflow import jobs  # noqa: PLC0415  # needs the settings

    schedules_changed = _schedules(database) != _migrated_schedules
    tables = [name for name in _with_rows(database) if name != _SCHEDULES or schedules_changed]
    off, on = _audit_triggers(database, tables)
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        for statement in (*off, *(f'DELETE FROM "{table}"' for table in tables)):  # noqa: S608  # Django's own names
            cursor.execute(statement)
        if on and database.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in on:
            cursor.execute(statement)
    if schedules_changed:
        jobs.ensure_schedules()
        _migrated_schedules[:] = _schedules(database)


def wait_until_blocked(runs: Callable[[], bool]) -> None:
    """Wait until another session waits for a lock of this one, or the work that ``runs`` asks about has ended.

    PostgreSQL only. `pg_stat_activity` would not do: within a transaction it shows the sessions of its first reading.
    """
    waits = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    deadline = time.monotonic() + 60
    while runs():
        with connection.cursor() as cursor:
            cursor.execute(waits)
            if cursor.fetchone()[0]:
                return
        if time.monotonic() > deadline:
            raise AssertionError("No other session waits for a lock of this one.")
        time.sleep(0.01)


def _schedules(database: Any) -> list[Any]:
    with database.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {_SCHEDULES} ORDER BY id")  # noqa: S608
        return list(cursor.fetchall())


def _with_rows(database: Any) -> list[str]:
    names = set(database.introspection.django_table_names(only_existing=False, include_views=False)) - _KEPT
    # Django's own table names.
    has_rows = [f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in sorted(names)]  # noqa: S608
    with database.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(has_rows))
        return [row[0] for row in cursor.fetchall()]


def _audit_triggers(database: Any, tables: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return statements that disable the append-only triggers, and others that enable them again."""
    from orderflow.audit.append_only import TABLES  # noqa: PLC0415  # needs the settings

    protected = [table for table in TABLES if table in tables]
    if database.vendor == "postgresql":
        off = [f'ALTER TABLE "{table}" DISABLE TRIGGER USER' for table in protected]
        return off, [statement.replace("DISABLE", "ENABLE") for statement in off]
    with database.cursor() as cursor:
        cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        found = [(name, sql) for name, table, sql in cursor.fetchall() if table in protected]
    return [f'DROP TRIGGER "{name}"' for name, _ in found], [sql for _, sql in found]
