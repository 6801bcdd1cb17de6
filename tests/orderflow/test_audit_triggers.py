"""The database itself refuses to change the audit log, whoever asks, short of the tables' owner."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orderflow.audit import append_only
from orderflow.audit.models import Action, AuditLog
from orderflow.audit.services import Entry, record
from orderflow.tenancy.rls.policies import CLAIM
from tests import factories

WHY = "append-only"


@pytest.fixture
def _entry(db):
    org = factories.org()
    record(Entry(action=Action.DRAFT_APPROVED, org_id=org.pk, entity_type="DraftOrder", entity_id=uuid4()))


def execute(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def rows():
    return list(AuditLog.objects.values())


CHANGES = {
    "update": "UPDATE audit_auditlog SET action = 'DRAFT_PUSHED'",
    "update of nothing but the time": "UPDATE audit_auditlog SET created_at = created_at",
    "delete": "DELETE FROM audit_auditlog",
}


@pytest.mark.usefixtures("_entry")
@pytest.mark.parametrize("change", CHANGES)
def test_a_statement_that_changes_it_is_refused_and_says_why(change):
    before = rows()

    with pytest.raises(IntegrityError, match=WHY):
        execute(CHANGES[change])

    assert rows() == before


@pytest.mark.usefixtures("_entry")
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="REPLACE is SQLite's")
def test_sqlite_does_not_replace_a_row_either():
    before = rows()

    with pytest.raises(IntegrityError, match=WHY):
        execute("INSERT OR REPLACE INTO audit_auditlog SELECT * FROM audit_auditlog")

    assert rows() == before


@pytest.mark.django_db
def test_no_entry_is_dated_in_the_future():
    ahead = timezone.now() + timedelta(days=1)
    entry = AuditLog(action=Action.DRAFT_APPROVED, created_at=ahead)
    if connection.vendor == "sqlite":
        with pytest.raises(IntegrityError, match="dated in the future"), transaction.atomic():
            entry.save()
        return
    entry.save()
    entry.refresh_from_db()
    assert entry.created_at < timezone.now() + timedelta(minutes=1)


@pytest.mark.postgres_only
@pytest.mark.django_db
@pytest.mark.parametrize("table", append_only.TABLES)
def test_truncate_is_refused(table):
    with pytest.raises(IntegrityError, match=WHY):
        execute(f"TRUNCATE {table} CASCADE")


@pytest.mark.django_db
def test_a_trigger_that_is_gone_or_off_is_missed_and_can_be_restored():
    assert append_only.missing(connection) == []
    name = append_only.expected(connection)[0]
    off = f"DROP TRIGGER {name}"
    if connection.vendor == "postgresql":
        off = f"ALTER TABLE audit_auditlog DISABLE TRIGGER {name}"
    execute(off)

    assert append_only.missing(connection) == [name]

    call_command("migrate", verbosity=0)
    assert append_only.missing(connection) == []


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite builds a table anew to alter it")
@pytest.mark.django_db(transaction=True)
def test_a_migration_that_builds_the_table_anew_leaves_it_protected():
    with connection.schema_editor() as editor:
        remake: Any = editor
        remake._remake_table(AuditLog)
    assert append_only.missing(connection) != []

    call_command("migrate", verbosity=0)

    assert append_only.missing(connection) == []


@pytest.mark.django_db(transaction=True)
def test_the_migration_can_be_taken_back_and_applied_again():
    call_command("migrate", "audit", "0001", verbosity=0)
    assert append_only.missing(connection) != []
    call_command("migrate", "audit", verbosity=0)
    assert append_only.missing(connection) == []


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_role_of_its_own_for_the_program_can_add_entries_and_not_lift_the_protection():
    """As docs/security/threat-model.md sets it up."""
    role, password = f"app_{secrets.token_hex(4)}", secrets.token_hex(16)
    execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    execute(f"GRANT {role} TO CURRENT_USER")  # to drop later what it owns
    execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
    execute(f"REVOKE UPDATE, DELETE ON audit_auditlog FROM {role}")
    settings = connection.get_connection_params()
    try:
        with psycopg.connect(
            host=settings["host"], port=settings["port"], dbname=settings["dbname"], user=role,
            password=password, autocommit=True,
        ) as app:  # fmt: skip
            app.execute("SELECT set_config(%s, '*', false)", [CLAIM])  # for row-level security
            app.execute(
                "INSERT INTO audit_auditlog (id, action, entity_type, entity_id, user_agent, request_id, created_at)"
                " VALUES (gen_random_uuid(), 'LOGIN_FAILED', '', '', '', '', now())"
            )
            for refused in (
                "UPDATE audit_auditlog SET ip = NULL",
                "DELETE FROM audit_auditlog",
                "TRUNCATE audit_auditlog CASCADE",
                "ALTER TABLE audit_auditlog DISABLE TRIGGER USER",
                "DROP TRIGGER audit_auditlog_no_change ON audit_auditlog",
                "DROP TABLE audit_auditlog CASCADE",
                "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
                "SET session_replication_role = replica",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(refused)
    finally:
        execute(f"DROP OWNED BY {role}")
        execute(f"DROP ROLE {role}")
    assert AuditLog.objects.count() == 1
