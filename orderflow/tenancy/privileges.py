"""Grant the program's database role its privileges; `migrate` calls this as the owner of the tables.

`DATABASE_APP_ROLE` names the role. It reads and writes rows, but cannot change the audit log, run code by the queue's
tables, or change a table or a policy.
"""

from collections.abc import Iterator

from django.core.management.base import CommandError
from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

WITHHELD = {
    "audit_auditlog": "UPDATE, DELETE",
    "django_q_task": "INSERT, UPDATE",
    "django_q_schedule": "INSERT, DELETE",
    "orders_number_forms": "ALL",
}


def grant(connection: BaseDatabaseWrapper, role: str) -> None:
    """Grant ``role`` what the program needs, as the owner of the tables. Raise `CommandError` if that is refused."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema()), current_user")
            schema, owner = cursor.fetchone()
            if owner == role:
                raise CommandError(
                    f"DATABASE_APP_ROLE is {role}, which runs migrate itself. Let DATABASE_URL name the tables' owner."
                )
            tables = set(connection.introspection.table_names(cursor))
            for statement in statements(connection.ops.quote_name(role), schema, tables):
                cursor.execute(statement)
    except DatabaseError as refused:
        raise CommandError(
            f"The role {role} (DATABASE_APP_ROLE) was granted nothing: {str(refused).strip()}. docs/deploy.md says how "
            "the two roles are made."
        ) from refused


def statements(role: str, schema: str, tables: set[str]) -> Iterator[str]:
    """Yield the SQL; ``role`` and ``schema`` are quoted."""
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
    for table, privileges in WITHHELD.items():
        if table in tables:
            yield f"REVOKE {privileges} ON {schema}.{table} FROM {role}"
