"""Between tests that commit, Django empties every table, and the audit log's triggers refuse that: they stand aside

for as long as it takes, as only a table's owner can make them. No test runs without them.
"""

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.operations import BaseDatabaseOperations


def install() -> None:
    execute = BaseDatabaseOperations.execute_sql_flush

    def around(self: Any, sql_list: Iterable[str]) -> None:
        from orderflow.audit.append_only import TABLES  # noqa: PLC0415  # needs the settings

        sql_list = list(sql_list)
        tables = [table for table in TABLES if any(f'"{table}"' in statement for statement in sql_list)]
        aside, back = _postgresql(tables) if self.connection.vendor == "postgresql" else _sqlite(self, tables)
        execute(self, [*aside, *sql_list, *back])

    BaseDatabaseOperations.execute_sql_flush = around  # type: ignore[method-assign]


def _postgresql(tables: list[str]) -> tuple[list[str], list[str]]:
    aside = [f'ALTER TABLE "{table}" DISABLE TRIGGER USER' for table in tables]
    return aside, [statement.replace("DISABLE", "ENABLE") for statement in aside]


def _sqlite(ops: Any, tables: list[str]) -> tuple[list[str], list[str]]:
    with ops.connection.cursor() as cursor:
        cursor.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        found = [(name, sql) for name, table, sql in cursor.fetchall() if table in tables]
    return [f'DROP TRIGGER "{name}"' for name, _ in found], [sql for _, sql in found]
