"""Django's PostgreSQL, telling the server whose rows may be seen: `orderflow.tenancy.scope`.

Told when it differs from what this connection was told last, before the next statement: once or twice a request, never
for each statement.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from psycopg.pq import TransactionStatus

from orderflow.tenancy import scope
from orderflow.tenancy.policies import CLAIM


class SchemaEditor(DatabaseSchemaEditor):
    """A migration reads and writes every org's rows: of a table's owner, too, some would else be hidden."""

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


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: str | None = None
        # A cursor may outlive the scope that it was opened in.
        self.execute_wrappers.append(self._before_a_statement)

    def create_cursor(self, name: str | None = None) -> Any:
        self._tell()
        return super().create_cursor(name)

    def init_connection_state(self) -> None:
        self._told = None
        super().init_connection_state()

    def _before_a_statement(self, execute: Callable[..., Any], *statement: Any) -> Any:
        self._tell()
        return execute(*statement)

    def _tell(self) -> None:
        claim = scope.current().claim
        if claim == self._told or self._in_failed_transaction():
            return
        with self.wrap_database_errors:
            self.connection.execute("SELECT set_config(%s, %s, false)", [CLAIM, claim])
        self._told = claim

    def _in_failed_transaction(self) -> bool:
        # There only the end of it is listened to, and nothing can be read.
        return bool(self.connection.info.transaction_status == TransactionStatus.INERROR)

    # What was told within a transaction is forgotten with it by the server, too.

    def _rollback(self) -> None:
        self._told = None
        super()._rollback()  # type: ignore[misc]  # the stubs leave these out

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._told = None

    def _commit(self) -> None:
        if self.connection is not None and self._in_failed_transaction():
            self._told = None  # the server makes a rollback of it
        super()._commit()  # type: ignore[misc]
