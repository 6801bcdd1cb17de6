"""One UPDATE for many rows that get values of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

ROWS_PER_STATEMENT = 500

RowT = TypeVar("RowT", bound=Model)


def update_rows(rows: Sequence[Model], *names: str) -> None:
    """Write these fields of rows of one model; a row that was deleted is not inserted again.

    As Django's ``bulk_update``, which makes a CASE of each field and spends more time on that than the database on
    the update (tools/bench).
    """
    for page in _pages(rows):
        _update(page, names, same={}, where={})


def update_rows_where(
    rows: Sequence[RowT], *names: str, same: Mapping[str, object], where: Mapping[str, object]
) -> list[RowT]:
    """Compare and set: write as `update_rows` does, but only rows in which the fields of ``where`` have these values.

    All rows get the values of ``same``. Return the rows that were written, in their order.
    """
    return [row for page in _pages(rows) for row in _update(page, names, same=same, where=where)]


def _pages(rows: Sequence[RowT]) -> Iterable[Sequence[RowT]]:
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        yield rows[start : start + ROWS_PER_STATEMENT]


def _update(
    rows: Sequence[RowT], names: Sequence[str], *, same: Mapping[str, object], where: Mapping[str, object]
) -> list[RowT]:
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    quote = connection.ops.quote_name
    key = model._meta.pk
    columns = [key, *(_field(model, name) for name in names)]
    # SQLite and PostgreSQL both name the columns of VALUES column1, column2, ...
    own = [f"{quote(str(field.column))} = new.column{n}" for n, field in enumerate(columns[1:], 2)]
    shared = [f"{quote(str(_field(model, name).column))} = %s" for name in same]
    first = ", ".join(_place(field.db_type(connection), connection.vendor) for field in columns)
    other = ", ".join("%s" for _ in columns)
    values = ", ".join([f"({first})", *[f"({other})"] * (len(rows) - 1)])
    table, pk = quote(model._meta.db_table), quote(str(key.column))
    unchanged = "".join(f" AND {table}.{quote(str(_field(model, name).column))} = %s" for name in where)
    # The ORM has no UPDATE ... FROM.
    statement = (
        f"UPDATE {table} SET {', '.join(own + shared)} FROM (VALUES {values}) AS new "  # noqa: S608
        f"WHERE {table}.{pk} = new.column1{unchanged}{f' RETURNING {table}.{pk}' if where else ''}"
    )
    keys = [key.get_db_prep_save(row.pk, connection) for row in rows]
    parameters = [
        *_prepared(model, same, connection),
        *(
            value
            for row, prepared in zip(rows, keys, strict=True)
            for value in (
                prepared,
                *(field.get_db_prep_save(getattr(row, field.attname), connection) for field in columns[1:]),
            )
        ),
        *_prepared(model, where, connection),
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        written = {row[0] for row in cursor.fetchall()} if where else set(keys)
    return [row for row, prepared in zip(rows, keys, strict=True) if prepared in written]


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    field = model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101  # no relation from elsewhere
    return field


def _prepared(
    model: type[Model], values: Mapping[str, object], connection: BaseDatabaseWrapper
) -> Iterable[object]:
    return (_field(model, name).get_db_prep_save(value, connection) for name, value in values.items())


def _place(kind: str | None, vendor: str) -> str:
    # The first row tells PostgreSQL the types of all; SQLite's columns take values as they come.
    return f"%s::{kind}" if vendor == "postgresql" else "%s"
