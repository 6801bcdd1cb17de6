"""Django's PostgreSQL backend, which sends the claim of `orderflow.tenancy.scope` with each statement.

The claim is a setting of the transaction (`set_config(…, true)`), never of the session: behind a pooler that pools
transactions, the next statement may reach another session, and another client's statement this one.

- In a transaction the claim is sent with the first statement, and again when the scope changes or a savepoint was
  rolled back.
- In autocommit each statement is sent together with the claim, in one sequence of messages (psycopg's pipeline mode),
  which PostgreSQL runs as one transaction. It costs no round trip.
- Statements that PostgreSQL runs only outside a transaction (`VACUUM`, `CREATE INDEX CONCURRENTLY`) are sent alone:
  they read no org's rows. `scope.within(scope.NOTHING)` does the same for any other statement.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from django.db import InternalError
from django.db import OperationalError as DjangoOperationalError
from django.db.backends.postgresql import base
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper
from psycopg import Error, OperationalError, ServerCursor
from psycopg.pq import TransactionStatus

from orderflow.tenancy import scope
from orderflow.tenancy.rls.policies import CLAIM

_SET = "SELECT set_config(%s, %s, true)"
_UNKNOWN = None
# Transaction control, and what PostgreSQL refuses to run in a transaction.
_ALONE = re.compile(
    r"""\s*(
      (?P<ends>COMMIT | END | ROLLBACK | ABORT | PREPARE\s+TRANSACTION)
    | BEGIN | START\s+TRANSACTION | SAVEPOINT | RELEASE
    | VACUUM | CLUSTER | REINDEX
    | CREATE\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY | DROP\s+INDEX\s+CONCURRENTLY
    | ALTER\s+TABLE\s.*\sDETACH\s+PARTITION\s.*\sCONCURRENTLY
    | (CREATE | ALTER | DROP)\s+(DATABASE | TABLESPACE | SUBSCRIPTION | SYSTEM)
    )\b""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

# Reads need no explicit COMMIT: their implicit commit does not fail.
_READS = re.compile(r"[\s(]*SELECT\b", re.IGNORECASE)


class SchemaEditor(DatabaseSchemaEditor):
    """Let a migration read and write the rows of every org; otherwise policies bind the tables' owner, too."""

    def __enter__(self) -> Any:
        self._scope = scope.everything()
        self._scope.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._scope.__exit__(None, None, None)


class _Claiming:
    """Send the claim also for calls that Django passes directly to psycopg's cursor."""

    db: "DatabaseWrapper"
    cursor: Any

    @contextmanager
    def copy(self, *statement: Any, **options: Any) -> Iterator[Any]:
        copy = getattr(super(), "copy", self.cursor.copy)
        with self.db.claimed(self.cursor.connection), copy(*statement, **options) as copied:
            yield copied

    def stream(self, *statement: Any, **options: Any) -> Iterator[Any]:
        with self.db.claimed(self.cursor.connection):
            yield from self.cursor.stream(*statement, **options)

    def callproc(self, *call: Any, **options: Any) -> Any:
        with self.db.claimed(self.cursor.connection):
            return super().callproc(*call, **options)  # type: ignore[misc]  # of the class beside this one


class ClaimingCursor(_Claiming, CursorWrapper):
    pass


class ClaimingDebugCursor(_Claiming, base.CursorDebugWrapper):
    pass


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The claim that the open transaction has.
        self._claimed: str | None = ""
        # For each statement, not for each cursor: a cursor may outlive the scope that it was opened in.
        self.execute_wrappers.append(self._with_claim)

    def make_cursor(self, cursor: Any) -> Any:
        return ClaimingCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        return ClaimingDebugCursor(cursor, self)

    def _with_claim(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        with self._lost_if_unreadable():
            return self._execute_with_claim(execute, sql, params, many, context)

    def _execute_with_claim(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        cursor = context["cursor"].cursor
        connection, statement = cursor.connection, (sql, params, many, context)
        if isinstance(sql, str) and (alone := _ALONE.match(sql)):
            if alone["ends"]:
                self._claimed = _UNKNOWN  # a rollback to a savepoint also undoes a later claim
            return execute(*statement)
        claim = scope.current().claim
        if not self._must_claim(connection, claim):
            return execute(*statement)
        if isinstance(cursor, ServerCursor) or _may_be_several(sql):
            with self.claimed(connection):
                return execute(*statement)
        with self._recording(connection, claim), self.wrap_database_errors:
            if _is_outside(connection) and not _READS.match(sql):
                return self._in_one_message(connection, claim, lambda: execute(*statement))
            # Outside a transaction, PostgreSQL runs both statements as one transaction.
            with _pipeline(connection):
                connection.execute(_SET, [CLAIM, claim])
                return execute(*statement)

    def _in_one_message(self, connection: Any, claim: str, execute: Callable[[], Any]) -> Any:
        """Run a statement in its own transaction; everything is sent before the first answer is read.

        COMMIT is explicit: psycopg cannot read an error of the implicit commit at the end of a pipeline, such as
        that of a deferred constraint.
        """
        try:
            with _pipeline(connection):
                connection.execute("BEGIN")
                connection.execute(_SET, [CLAIM, claim])
                done = execute()
                connection.execute("COMMIT")
                return done
        finally:
            # Still open if psycopg could not send the statement: one of its values has no form in the database.
            if _status(connection) in (TransactionStatus.INERROR, TransactionStatus.INTRANS):
                connection.rollback()

    @contextmanager
    def claimed(self, connection: Any) -> Iterator[None]:
        """Run the body in a transaction that has the claim: the open one, or a new one."""
        claim = scope.current().claim
        if not self._must_claim(connection, claim):
            yield
        elif _is_outside(connection):
            with self.wrap_database_errors, connection.transaction():
                connection.execute(_SET, [CLAIM, claim])
                yield
        else:
            with self._recording(connection, claim), self.wrap_database_errors:
                connection.execute(_SET, [CLAIM, claim])
            yield

    def _must_claim(self, connection: Any, claim: str) -> bool:
        status = _status(connection)
        if status == TransactionStatus.IDLE:
            self._claimed = ""
        # A failed transaction accepts only ROLLBACK, and a lost connection nothing.
        dead = status in (TransactionStatus.INERROR, TransactionStatus.UNKNOWN)
        return not dead and claim != self._claimed

    @contextmanager
    def _recording(self, connection: Any, claim: str) -> Iterator[None]:
        """Remember the claim if the body sent it within a transaction that is still open."""
        self._claimed = _UNKNOWN
        yield
        self._claimed = claim if _status(connection) == TransactionStatus.INTRANS else ""

    def _commit(self) -> None:
        with self._lost_if_unreadable():
            super()._commit()  # type: ignore[misc]  # the stubs leave these out
        self._claimed = ""

    @contextmanager
    def _lost_if_unreadable(self) -> Iterator[None]:
        """Raise `OperationalError` if the session ended between a command and its answer.

        psycopg then reads the server's closing message as a second result, and raises an error of its own.
        """
        try:
            yield
        except InternalError as error:
            if self.connection is None or _is_usable(self.connection):
                raise
            raise DjangoOperationalError("the connection is lost") from error

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]
        self._claimed = ""


@contextmanager
def _pipeline(connection: Any) -> Iterator[None]:
    """Raise `OperationalError` for a lost connection: psycopg's pipeline fails on the server's closing message."""
    try:
        with connection.pipeline():
            yield
    except (IndexError, ValueError, AssertionError) as error:
        if _is_usable(connection):
            raise
        connection.close()
        raise OperationalError("the connection is lost") from error


def _is_usable(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except Error:
        return False
    return True


def _status(connection: Any) -> TransactionStatus:
    return TransactionStatus(connection.pgconn.transaction_status)


def _is_outside(connection: Any) -> bool:
    """Return whether a statement would be a transaction of its own."""
    return bool(connection.autocommit) and _status(connection) == TransactionStatus.IDLE


def _may_be_several(sql: Any) -> bool:
    """Several statements in one text are possible in the simple protocol only, and not in a pipeline."""
    return not isinstance(sql, str) or ";" in sql.rstrip("; \t\r\n")
