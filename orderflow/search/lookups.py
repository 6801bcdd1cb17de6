"""Conditions on the normal form of columns, for SQLite and PostgreSQL."""

from typing import Any, TypeVar

from django.db.models import F, Func, Q, QuerySet, TextField
from django.db.models.lookups import Contains, StartsWith

from orderflow.search.normal_form import normal_form, words

FUNCTION = "orderflow_search_form"
RowsT = TypeVar("RowsT", bound="QuerySet[Any]")


class NormalForm(Func):
    """`normal_form` of a text column, computed by the database."""

    function = FUNCTION
    arity = 1
    output_field = TextField()


def contains(text: str, *fields: str) -> Q:
    """Return the condition that one of the fields contains ``text``, both in normal form."""
    return _any_of(Contains, normal_form(text).strip(), fields)


def begins(text: str, *fields: str) -> Q:
    """Return the condition that one of the fields begins with ``text``, both in normal form."""
    return _any_of(StartsWith, normal_form(text), fields)


def search_fields(rows: RowsT, text: str, *fields: str) -> RowsT:
    """Return the rows that have each word of ``text`` in one of the fields; no rows if ``text`` has no word."""
    wanted = words(text)
    for word in wanted:
        rows = rows.filter(contains(word, *fields))
    return rows if wanted else rows.none()


def on_connection(connection: Any, **signal: Any) -> None:
    """Give SQLite the function; PostgreSQL has it from a migration."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(FUNCTION, 1, _form_or_null, deterministic=True)


def _form_or_null(text: Any) -> str | None:
    return None if text is None else normal_form(str(text))


def _any_of(lookup: Any, form: str, fields: tuple[str, ...]) -> Q:
    condition = Q()
    for field in fields:
        condition |= Q(lookup(NormalForm(F(field)), form))
    return condition
