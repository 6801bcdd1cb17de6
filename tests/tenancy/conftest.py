"""A database with the second wall up, and this program at work in it as a role that owns nothing."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection as django_connection
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL
from django.test import override_settings

from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.tenancy import privileges, scope
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.postgresql.base import DatabaseWrapper
from orderflow.tenancy.rls import install
from orderflow.tenancy.rls.policies import CLAIM
from orderflow.tenancy.roles import Role
from tests import factories
from tests.plugin import SUPERUSER_URL


@dataclass(frozen=True)
class App:
    """A role as docs/deploy.md makes it, in the tests' database."""

    role: str
    password: str

    def connect(self, claim: str | None = None) -> psycopg.Connection[Any]:
        """Past this program: what anybody with this role's password could do."""
        server = django_connection.get_connection_params()
        app = psycopg.connect(
            host=server["host"], port=server["port"], dbname=server["dbname"],
            user=self.role, password=self.password, autocommit=True,
        )  # fmt: skip
        if claim is not None:
            app.execute("SELECT set_config(%s, %s, false)", [CLAIM, claim])
        return app


@pytest.fixture(scope="module", autouse=True)
def _superuser_without_policies(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let these tests begin as a superuser without row-level security: they install, remove and break it themselves."""
    bound = connections["default"]
    if bound.vendor != "postgresql":
        yield
        return
    server = urlsplit(os.environ[SUPERUSER_URL])
    access = {"USER": server.username, "PASSWORD": server.password, "CONN_MAX_AGE": 0}
    superuser = PostgreSQL({**bound.settings_dict, **access}, "default")
    with django_db_blocker.unblock(), override_settings(ROW_LEVEL_SECURITY=False):
        bound.close()
        connections["default"] = superuser
        install.remove(superuser)
        yield
        install.apply(superuser)
        superuser.close()
        connections["default"] = bound


@contextmanager
def put_up() -> Iterator[App]:
    """Policies on every table, as the tables' owner, and the role."""
    made = App(f"app_{secrets.token_hex(4)}", secrets.token_hex(16))
    owner = connections["default"]
    install.apply(owner)
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {made.role} LOGIN PASSWORD '{made.password}'")
    privileges.grant(owner, made.role)
    try:
        yield made
    finally:
        install.remove(owner)
        with owner.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {made.role}")
            cursor.execute(f"DROP ROLE {made.role}")


@pytest.fixture
def app(transactional_db: None) -> Iterator[App]:
    with put_up() as made:
        yield made


@contextmanager
def at_work_as(app: App, **options: Any) -> Iterator[DatabaseWrapper]:
    """The program itself uses that role, as `ROW_LEVEL_SECURITY=true` has it; nothing is claimed."""
    owner = connections["default"]
    access = {"USER": app.role, "PASSWORD": app.password, "CONN_MAX_AGE": 60}
    access["OPTIONS"] = {**owner.settings_dict["OPTIONS"], **options}
    walled = DatabaseWrapper({**owner.settings_dict, **access}, "default")
    connections["default"] = walled
    try:
        with override_settings(ROW_LEVEL_SECURITY=True), scope.within(scope.NOTHING):
            yield walled
    finally:
        walled.close()
        connections["default"] = owner


@pytest.fixture
def wall(app: App) -> Iterator[DatabaseWrapper]:
    with at_work_as(app) as walled:
        yield walled


@dataclass(frozen=True)
class Tenant:
    """An org that delivers into a folder."""

    org: Org
    admin: User
    connection: ERPConnection
    inbox: Path
    acks: Path


@pytest.fixture
def make_tenant(tmp_path: Path, settings: Any) -> Callable[[], Tenant]:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return lambda: tenant_in(tmp_path)


@scope.everything()
def tenant_in(folder: Path) -> Tenant:
    """`DROPZONE_ROOTS` must allow it."""
    org = factories.org()
    inbox, acks = folder / org.slug / "in", folder / org.slug / "ack"
    inbox.mkdir(parents=True)
    acks.mkdir()
    config = {"mode": "filesystem", "export_path": str(inbox), "ack_path": str(acks)}
    admin = factories.user(org, Role.ADMIN)
    return Tenant(org, admin, factories.connection(org, config), inbox, acks)


def all_the_way(tenant: Tenant) -> str:
    """One order, pushed, delivered and answered; its export's status."""
    order = factories.draft(tenant.org)
    export = push(order.pk, actor=tenant.admin).export
    deliver(tenant.connection.pk)
    (tenant.acks / f"ack_{export.filename}").write_text('{"status": "ACKED", "erp_order_id": "SO-1"}')
    poll(tenant.connection.pk)
    export.refresh_from_db()
    return export.status
