"""`migrate` by the owner grants the program's role what it needs, and no more."""

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from orderflow.orders import number_search
from orderflow.tenancy import privileges
from tests import factories
from tests.servers.postgres import postgres_server, program_path

ROLES = Path(__file__).resolve().parents[2] / "deploy" / "compose" / "roles.sh"
REFUSED = (
    "UPDATE audit_auditlog SET action = ''",
    "DELETE FROM audit_auditlog",
    "UPDATE django_q_task SET result = ''",
    "INSERT INTO django_q_schedule (func, schedule_type, repeats) VALUES ('os.mkdir', 'O', -1)",
    f"SELECT FROM {number_search.TABLE}",
    "ALTER TABLE orders_draftorder DISABLE ROW LEVEL SECURITY",
    "TRUNCATE orders_draftorder CASCADE",
    "CREATE TABLE made_here (n integer)",
)


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.postgres_only
@pytest.mark.django_db
def test_migrate_grants_what_the_program_needs(settings):
    execute("CREATE ROLE program")
    settings.DATABASE_APP_ROLE = "program"
    call_command("migrate", verbosity=0)
    order = factories.draft(factories.org())
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute("SET LOCAL ROLE program")

    order.notes = "changed"
    order.save()
    order.lines.all().delete()
    for refused in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.connection.transaction():
            connection.connection.execute(refused)


@pytest.mark.postgres_only
@pytest.mark.django_db
@pytest.mark.parametrize("name", ["no_such_role", "the_owner"])
def test_a_role_that_cannot_be_granted_anything_ends_migrate_in_words(name):
    if name == "the_owner":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            (name,) = cursor.fetchone()

    with pytest.raises(CommandError, match="DATABASE_APP_ROLE"):
        privileges.grant(connection, name)


@pytest.mark.deep
def test_the_containers_database_gets_its_roles(tmp_path):
    with postgres_server(tmp_path / "postgres") as url:
        server = urlsplit(url)
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute("CREATE DATABASE orderflow")
        environment: dict[str, str] = {
            "PATH": f"{Path(program_path('psql')).parent}:/usr/bin:/bin",
            "PGHOST": str(server.hostname), "PGPORT": str(server.port),
            "PGPASSWORD": str(server.password), "POSTGRES_DB": "orderflow", "DATABASE_OWNER_PASSWORD": "o'wner",
            "DATABASE_PASSWORD": "app",
        }  # fmt: skip
        subprocess.run(["sh", str(ROLES)], env=environment, check=True)
        access: dict[str, Any] = {"host": server.hostname, "port": server.port, "dbname": "orderflow"}
        with psycopg.connect(user="orderflow", password="o'wner", **access) as owner:
            owner.execute("CREATE TABLE made_here (n integer)")
        with (
            psycopg.connect(user="orderflow_app", password="app", **access) as program,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            program.execute("SELECT FROM made_here")
