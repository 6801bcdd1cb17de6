"""Tell a database that does not answer, or is being restarted, from a statement that it refuses."""

import sqlite3

from django.db import InterfaceError, OperationalError

RETRY_AFTER_SECONDS = 5
# PostgreSQL: connection exceptions; shut down, crashed, starting; too many connections.
_SQLSTATES = ("08", "57P01", "57P02", "57P03", "53300")
_SQLITE_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}


def is_outage(error: BaseException | None) -> bool:
    """Return True if the same request can succeed once the database answers again."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    driver = error.__cause__
    if isinstance(driver, sqlite3.Error):
        return driver.sqlite_errorcode & 0xFF in _SQLITE_CODES
    # A connection that was refused or broken has no SQLSTATE.
    state = getattr(driver, "sqlstate", None)
    return state is None or str(state).startswith(_SQLSTATES)
