"""Triggers that refuse a change of the audit log to everybody who uses the database, not only to this program.

Only a table's owner can take them away. Migrations on SQLite build a table anew and lose them, so `migrate` makes those
again that are missing.
"""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

MIGRATION = ("audit", "0002_append_only")
TABLES = ("audit_auditlog",)
WHY = "The audit log is append-only: entries are never changed or removed (docs/security/threat-model.md)."
FUTURE = "An audit entry can not be dated in the future: set the clock right."
REMEDY = "Find out who took them away; then run: manage.py migrate, as the tables' owner."

_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = '{WHY}',
        DETAIL = TG_OP || ' of ' || TG_TABLE_NAME || ' by ' || current_user;
END $$
"""
# The database's clock counts: an application host that is ahead must not be unable to write.
_NOT_LATER = """
CREATE OR REPLACE FUNCTION audit_not_in_future() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := least(NEW.created_at, clock_timestamp());
    RETURN NEW;
END $$
"""
_POSTGRESQL = {
    "{table}_no_change": (
        "CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    ),
    "{table}_no_truncate": (
        "CREATE TRIGGER {name} BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    ),
    "{table}_no_future": (
        "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION audit_not_in_future()"
    ),
}
_SQLITE = {
    "{table}_no_update": (
        "CREATE TRIGGER IF NOT EXISTS {name} BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END"
    ),
    "{table}_no_delete": (
        "CREATE TRIGGER IF NOT EXISTS {name} BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{why}'); END"
    ),
    # INSERT OR REPLACE removes whatever row is in the way without asking the trigger above.
    "{table}_no_replace": (
        "CREATE TRIGGER IF NOT EXISTS {name} BEFORE INSERT ON {table} "
        "WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, '{why}'); END"
    ),
    # A trigger of SQLite can't set a value; program and database have one clock.
    "{table}_no_future": (
        "CREATE TRIGGER IF NOT EXISTS {name} BEFORE INSERT ON {table} "
        "WHEN NEW.created_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 minute') "
        "BEGIN SELECT RAISE(ABORT, '{future}'); END"
    ),
}


def protect(connection: BaseDatabaseWrapper, *tables: str) -> None:
    """Again does nothing."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if postgresql:
            cursor.execute(_FUNCTION)
            cursor.execute(_NOT_LATER)
        for table in tables:
            for name, statement in (_POSTGRESQL if postgresql else _SQLITE).items():
                called = name.format(table=table)
                if postgresql:
                    # One that is switched off would stay so if it were replaced.
                    cursor.execute(f"DROP TRIGGER IF EXISTS {called} ON {table}")
                cursor.execute(statement.format(name=called, table=table, why=WHY, future=FUTURE))


def unprotect(connection: BaseDatabaseWrapper, *tables: str) -> None:
    """Remove the protection when a migration is reversed."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        for table in tables:
            for name in _POSTGRESQL if postgresql else _SQLITE:
                of_table = f" ON {table}" if postgresql else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {name.format(table=table)}{of_table}")
        if postgresql:
            cursor.execute("DROP FUNCTION IF EXISTS audit_append_only()")
            cursor.execute("DROP FUNCTION IF EXISTS audit_not_in_future()")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that are not there, or are switched off."""
    postgresql = connection.vendor == "postgresql"
    query = (
        # 'O' and 'A' fire in an ordinary session.
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
        if postgresql
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        there = {name for (name,) in cursor.fetchall()}
    return [name for name in expected(connection) if name not in there]


def expected(connection: BaseDatabaseWrapper) -> list[str]:
    names = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    return [name.format(table=table) for table in TABLES for name in names]


def after_migrate(using: str, **signal: Any) -> None:
    connection = connections[using]
    if MIGRATION in MigrationRecorder(connection).applied_migrations() and missing(connection):
        protect(connection, *TABLES)
