"""Django's SQLite backend, which looks every few milliseconds if the lock is free.

SQLite sleeps longer after each look, up to 100 ms. So a process that writes transaction after transaction takes the
lock again while the others sleep, and they wait for seconds. Here SQLite itself waits for `LOOK_SECONDS` only, and
`Cursor` asks again until the ``timeout`` of the settings is over.

This is for `BEGIN IMMEDIATE` and for statements outside a transaction, of which SQLite has done nothing if the database
is locked. Within a transaction a repeated statement could be outside it, so there SQLite waits alone.
"""

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from django.db.backends.sqlite3 import base

# SQLite looks after 1, 3, 8 and 15 ms.
LOOK_SECONDS = 0.015


class Cursor(base.SQLiteCursorWrapper):
    wrapper: "DatabaseWrapper"

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction:
            return super().execute(query, params)
        ends = None
        while True:
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                # Waiting does not help with the extended codes.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                now = time.monotonic()
                ends = ends or now + self.wrapper.lock_timeout
                if now >= ends:
                    raise

    def executemany(self, query: str, param_list: Iterable[Any]) -> Any:
        if self.connection.in_transaction:
            return super().executemany(query, param_list)
        # Each row is committed alone. A repetition would write the first rows twice.
        self.wrapper.let_sqlite_wait(self.wrapper.lock_timeout)
        try:
            return super().executemany(query, param_list)
        finally:
            self.wrapper.let_sqlite_wait(LOOK_SECONDS)


class DatabaseWrapper(base.DatabaseWrapper):
    lock_timeout = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self.lock_timeout = float(conn_params.get("timeout", 5))
        return super().get_new_connection(conn_params)

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = self.connection.cursor(factory=Cursor)
        cursor.wrapper = self
        return cursor

    def let_sqlite_wait(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {round(min(seconds, self.lock_timeout) * 1000)}")

    def _start_transaction_under_autocommit(self) -> None:
        super()._start_transaction_under_autocommit()  # type: ignore[misc]  # missing in the stubs
        # A COMMIT without WAL waits for readers.
        self.let_sqlite_wait(self.lock_timeout)

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # missing in the stubs
        if autocommit:
            self.let_sqlite_wait(LOOK_SECONDS)
