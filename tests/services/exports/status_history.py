"""The status history of exports and orders, recorded by triggers of the database: no code of the product is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

TABLE = "test_status_history"
EXPORT, ORDER = "export", "order"
_COLUMNS = "kind, row_id, draft_id, was, was_as, was_number, was_sent, now, now_as, now_number, code"
_OF_EXPORT = """
    'export', NEW.id{text}, NEW.draft_order_id{text}, {old_status}, {old_as}, {old_number}, {old_sent},
    NEW.status, NEW.failed_as, NEW.erp_order_id, coalesce(NEW.error_json {arrow} '{code}', '')
"""
_OF_ORDER = "'order', NEW.id{text}, NEW.id{text}, OLD.status, '', '', false, NEW.status, '', '', ''"
_OLD = {
    "old_status": "OLD.status",
    "old_as": "OLD.failed_as",
    "old_number": "OLD.erp_order_id",
    "old_sent": "OLD.sent_at IS NOT NULL",
}
_NO_OLD = {"old_status": "''", "old_as": "''", "old_number": "''", "old_sent": "false"}
_CHANGED = (
    "OLD.status <> NEW.status OR OLD.failed_as <> NEW.failed_as OR OLD.erp_order_id <> NEW.erp_order_id"
)
_TRIGGERS: tuple[tuple[str, str, str, str, str, dict[str, str]], ...] = (
    ("export_created", "erp_connectors_erpexport", "AFTER INSERT", "", _OF_EXPORT, _NO_OLD),
    ("export_moved", "erp_connectors_erpexport", "AFTER UPDATE", _CHANGED, _OF_EXPORT, _OLD),
    ("order_moved", "orders_draftorder", "AFTER UPDATE", "OLD.status <> NEW.status", _OF_ORDER, {}),
)


@dataclass(frozen=True, slots=True)
class Change:
    """``was`` is empty if the row was created; ``code`` is that of ``error_json``."""

    kind: str
    row_id: UUID
    draft_id: UUID
    was: str
    was_as: str
    was_number: str
    was_sent: bool
    now: str
    now_as: str
    now_number: str
    code: str


@contextmanager
def recorded() -> Iterator[None]:
    """Record within the block each change of a status, of ``failed_as`` and of an export's ERP number."""
    postgresql = connection.vendor == "postgresql"
    key = "bigserial PRIMARY KEY" if postgresql else "integer PRIMARY KEY AUTOINCREMENT"
    dialect = (
        {"text": "::text", "arrow": "->>", "code": "code"}
        if postgresql
        else {"text": "", "arrow": "->>", "code": "$.code"}
    )
    columns = _COLUMNS.replace(",", " text,").replace("was_sent text", "was_sent boolean")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (id {key}, {columns} text)")
        for name, table, when, condition, values, old in _TRIGGERS:
            insert = f"INSERT INTO {TABLE} ({_COLUMNS}) VALUES ({values.format(**dialect, **old)});"  # noqa: S608
            if_changed = f"WHEN ({condition})" if condition else ""
            body = f"BEGIN {insert} END"
            if postgresql:
                function = (
                    f"test_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert} RETURN NULL; END $$"
                )
                cursor.execute(f"CREATE FUNCTION {function}")
                body = f"EXECUTE FUNCTION test_{name}()"
            cursor.execute(f"CREATE TRIGGER test_{name} {when} ON {table} FOR EACH ROW {if_changed} {body}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for name, table, *_ in _TRIGGERS:
                cursor.execute(f"DROP TRIGGER test_{name}" + (f" ON {table}" if postgresql else ""))
                if postgresql:
                    cursor.execute(f"DROP FUNCTION test_{name}()")
            cursor.execute(f"DROP TABLE {TABLE}")


def take() -> list[Change]:
    """Return what was recorded since the last call, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM {TABLE} ORDER BY id")  # noqa: S608
        rows = cursor.fetchall()
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608
    return [
        Change(kind, UUID(row_id), UUID(draft_id), was, was_as, number, bool(sent), *rest)
        for kind, row_id, draft_id, was, was_as, number, sent, *rest in rows
    ]
