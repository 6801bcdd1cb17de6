"""Complete an INSERT ... SELECT with the defaults of columns that it does not name, such as new ones."""

import re

from django.apps import apps
from django.db import connection
from django.db.models import Field
from psycopg import sql

_INSERT = re.compile(r"\s*INSERT INTO (\w+) \(([^)]*)\)\s*SELECT\b(.*)", re.DOTALL)


def with_defaults(statement: str) -> str:
    """Return the statement with a value for each NOT NULL column that it does not name.

    Raises `ValueError` if such a column has no default: the statement must name it.
    """
    found = _INSERT.fullmatch(statement)
    if not found:
        raise ValueError(f"no INSERT INTO table (columns) SELECT: {statement}")
    table, columns, selected = found.groups()
    (model,) = (model for model in apps.get_models() if model._meta.db_table == table)
    named = set(re.findall(r"\w+", columns))
    missing = [
        field for field in model._meta.concrete_fields if field.column not in named and _is_needed(field)
    ]
    names = "".join(f"{field.column}, " for field in missing)
    values = "".join(f"{_literal(field)}, " for field in missing)
    return f"INSERT INTO {table} ({names}{columns})\nSELECT {values}{selected}"


def _is_needed(field: "Field[object, object]") -> bool:
    return not (field.null or field.primary_key or field.generated or field.has_db_default())


def _literal(field: "Field[object, object]") -> str:
    default = field.get_default()
    if default is None:
        raise ValueError(f"{field} has no default: name {field.column} in the statement")
    return sql.Literal(field.get_db_prep_save(default, connection)).as_string()
