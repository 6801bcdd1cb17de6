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
    own = [f"{quote(str(field.column))} = new.column{n}" for n, field in enumerate(columns[1:], 2)]
    shared = [f"{quote(str(_field(model, name).column))} = %s" for name in same]
    keys = [key.get_db_prep_save(row.pk, connection) for row in rows]
    values = [
        keys,
        *(
            [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows]
            for field in columns[1:]
        ),
    ]
    source, own_parameters = _source(columns, values, connection)
    table, pk = quote(model._meta.db_table), quote(str(key.column))
    unchanged = "".join(f" AND {table}.{quote(str(_field(model, name).column))} = %s" for name in where)
    # The ORM has no UPDATE ... FROM.
    statement = (
        f"UPDATE {table} SET {', '.join(own + shared)} FROM {source} "  # noqa: S608
        f"WHERE {table}.{pk} = new.column1{unchanged}{f' RETURNING {table}.{pk}' if where else ''}"
    )
    parameters: list[Any] = [
        *_prepared(model, same, connection),
        *own_parameters,
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


def _source(
    columns: "Sequence[Field[Any, Any]]", values: Sequence[list[Any]], connection: BaseDatabaseWrapper
) -> tuple[str, Sequence[Any]]:
    """Return the rows as a table ``new`` with the columns column1, column2, ..., and its parameters.

    ``values`` has a list for each column. PostgreSQL gets each list as one parameter: it is quicker to send, parse and
    plan than a parameter for each value.
    """
    if connection.vendor == "postgresql":
        names = ", ".join(f"column{n}" for n in range(1, len(columns) + 1))
        # Without a length: to cast to varchar(64)[] would cut longer values off instead of refusing them.
        kinds = [str(field.db_type(connection)).partition("(")[0] for field in columns]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        return f"UNNEST({arrays}) AS new ({names})", values
    row = f"({', '.join('%s' for _ in columns)})"
    # SQLite names the columns of VALUES so.
    parameters = [value for row_values in zip(*values, strict=True) for value in row_values]
    return f"(VALUES {', '.join([row] * len(values[0]))}) AS new", parameters
