"""The policies in the database: how they stand, and putting them there or taking them away, as the tables' owner."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ProgrammingError

from orderflow.tenancy.rls.policies import Policy, Table, tables

# If another session holds a table's lock, all users of the table wait behind us for this time.
LOCK_WAIT = "5s"


class NotTheOwner(Exception):
    """Only a table's owner may change what is enforced on it."""


@dataclass(frozen=True, slots=True)
class TableProtection:
    """``wrong`` says what is not as it must be; ``enforced``: the database hides rows of this table, well or badly."""

    table: Table
    wrong: tuple[str, ...]
    enforced: bool


@dataclass(frozen=True, slots=True)
class RoleProtection:
    """``bypass``: roles it is or may become that no policy binds; ``owner_of``: tables it could switch off."""

    name: str
    bypass: tuple[str, ...]
    owner_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _InstalledPolicy:
    """A policy as the server has it."""

    name: str
    text: str
    comment: str


def table_protections(connection: BaseDatabaseWrapper) -> list[TableProtection]:
    """Return the protection of the existing tables; tables of unapplied migrations are left out."""
    wanted = tables()
    switches = _switches(connection, wanted)
    found = _found(connection, wanted)
    return [
        TableProtection(
            table,
            tuple(_wrong(table, switches[table.name], found.get(table.name, []))),
            switches[table.name][0],
        )
        for table in wanted
        if table.name in switches
    ]


def apply(connection: BaseDatabaseWrapper) -> list[Table]:
    """Puts every table right that is not; others are not touched, nor locked. Raises `NotTheOwner`."""
    return _change(connection, [one.table for one in table_protections(connection) if one.wrong], _enforce)


def remove(connection: BaseDatabaseWrapper) -> list[Table]:
    """Raises `NotTheOwner`."""
    return _change(connection, [one.table for one in table_protections(connection) if one.enforced], _release)


def role(connection: BaseDatabaseWrapper) -> RoleProtection:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, ARRAY(SELECT rolname::text FROM pg_roles WHERE (rolsuper OR rolbypassrls)"
            " AND pg_has_role(current_user, oid, 'MEMBER') ORDER BY 1),"
            " ARRAY(SELECT relname::text FROM pg_class WHERE oid = ANY (%s::regclass[])"
            " AND pg_has_role(current_user, relowner, 'MEMBER') ORDER BY 1)",
            [[one.table.name for one in table_protections(connection)]],
        )
        name, bypass, owner_of = cursor.fetchone()
    return RoleProtection(name, tuple(bypass), tuple(owner_of))


def refuse_hidden_rows(using: str, **signal: Any) -> None:
    """Before `migrate`: raise `CommandError` if policies would hide rows from migrations.

    That is so if ROW_LEVEL_SECURITY was taken back before the policies were: only the engine that it chooses sends the
    claim with each statement.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    from orderflow.tenancy.postgresql.base import DatabaseWrapper  # noqa: PLC0415  # with SQLite no driver is loaded

    if isinstance(connection, DatabaseWrapper):
        return
    if any(one.enforced for one in table_protections(connection)) and not role(connection).bypass:
        raise CommandError(
            "Row-level security hides every row from this program, as ROW_LEVEL_SECURITY is not set. Set it to true, "
            "or run `manage.py row_level_security --remove` as the tables' owner."
        )


def _wrong(table: Table, switches: tuple[bool, bool], found: Sequence[_InstalledPolicy]) -> Iterator[str]:
    enabled, forced = switches
    if not enabled:
        yield "row-level security is off"
    elif not forced:
        yield "its owner is not bound"
    there = {one.name: one for one in found}
    for policy in table.policies:
        if policy.name not in there:
            yield f"{policy.name} is missing"
        elif there[policy.name].comment != _comment(policy, there[policy.name]):
            yield f"{policy.name} is another than this version's"
    yield from (f"{name} is not ours" for name in there.keys() - {policy.name for policy in table.policies})


def _switches(connection: BaseDatabaseWrapper, wanted: Sequence[Table]) -> dict[str, tuple[bool, bool]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relname = ANY (%s) AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)",
            [[table.name for table in wanted]],
        )
        return {name: (enabled, forced) for name, enabled, forced in cursor.fetchall()}


def _found(connection: BaseDatabaseWrapper, wanted: Sequence[Table]) -> dict[str, list[_InstalledPolicy]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, polname, concat_ws(' ', polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid),"
            " '/', pg_get_expr(polwithcheck, polrelid)), coalesce(obj_description(pol.oid, 'pg_policy'), '')"
            " FROM pg_policy pol JOIN pg_class ON pg_class.oid = polrelid"
            " WHERE relname = ANY (%s) AND pg_table_is_visible(polrelid)",
            [[table.name for table in wanted]],
        )
        found: dict[str, list[_InstalledPolicy]] = {}
        for table, *policy in cursor.fetchall():
            found.setdefault(table, []).append(_InstalledPolicy(*policy))
    return found


def _comment(policy: Policy, found: _InstalledPolicy) -> str:
    """Return a comment with our text and the server's form of the policy, so that a change of either is noticed."""
    return f"{_digest(repr(policy))} {_digest(found.text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _change(connection: BaseDatabaseWrapper, chosen: list[Table], change: Any) -> list[Table]:
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            for table in chosen:
                for one in _found(connection, [table]).get(table.name, []):
                    cursor.execute(f"DROP POLICY {_quoted(one.name)} ON {_quoted(table.name)}")
                for statement in change(table):
                    cursor.execute(statement)
            _sign(connection, chosen)
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", "") == "42501":
            raise NotTheOwner(str(error).strip()) from error
        raise
    return chosen


def _enforce(table: Table) -> Iterator[str]:
    for one in table.policies:
        check = f" WITH CHECK ({one.check})" if one.check else ""
        yield f"CREATE POLICY {one.name} ON {_quoted(table.name)} FOR {one.command} USING ({one.using}){check}"
    yield f"ALTER TABLE {_quoted(table.name)} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {_quoted(table.name)} FORCE ROW LEVEL SECURITY"


def _release(table: Table) -> Iterator[str]:
    yield f"ALTER TABLE {_quoted(table.name)} NO FORCE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {_quoted(table.name)} DISABLE ROW LEVEL SECURITY"


def _sign(connection: BaseDatabaseWrapper, chosen: Sequence[Table]) -> None:
    found = _found(connection, chosen)
    with connection.cursor() as cursor:
        for table in chosen:
            there = {one.name: one for one in found.get(table.name, [])}
            for policy in table.policies:
                if policy.name in there:
                    comment = _comment(policy, there[policy.name])
                    cursor.execute(f"COMMENT ON POLICY {policy.name} ON {_quoted(table.name)} IS '{comment}'")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
