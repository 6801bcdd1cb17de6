"""Nothing that one transaction sets reaches the next client of the same server session."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection, connections, transaction

from erp_connectors import leases
from erp_connectors.watch import deployment
from erp_connectors.watch.check_results import Level
from orderflow.pooler import Pooling, detect
from orderflow.tenancy.models import Org
from tests.parts import require_program
from tests.servers.pgbouncer import pgbouncer
from tests.services.conftest import make_site, site  # noqa: F401  # fixtures

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]
TIMEOUT = "idle_in_transaction_session_timeout"


@contextmanager
def pooled(folder: Path, mode: str = "transaction", pool_size: int = 1) -> Iterator[Any]:
    """Let the default connection go through a pooler until the block ends."""
    require_program("pgbouncer")
    direct = connection.settings_dict
    user, password = quote(direct["USER"]), quote(direct["PASSWORD"])
    url = f"postgres://{user}:{password}@{direct['HOST']}:{direct['PORT']}/{direct['NAME']}"
    with pgbouncer(folder, url, mode=mode, pool_size=pool_size) as through:
        behind = connections["default"].copy()
        behind.settings_dict = {**direct, "HOST": "127.0.0.1", "PORT": str(urlsplit(through).port)}
        before = connections["default"]
        connections["default"] = behind
        try:
            with closing(behind):
                yield behind
        finally:
            connections["default"] = before


def value_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("mode", "found"), [("transaction", Pooling.TRANSACTION), ("session", Pooling.SESSION)]
)
def test_a_pooler_and_its_mode_are_found(tmp_path, mode, found):
    assert detect(connection) is Pooling.NONE
    with pooled(tmp_path / "pooler", mode, pool_size=3) as behind:
        assert detect(behind) is found


def test_with_a_single_server_session_too(tmp_path):
    with pooled(tmp_path / "pooler", pool_size=1) as behind:
        assert detect(behind) is Pooling.TRANSACTION


def test_doctor_names_it(tmp_path):
    (finding,) = deployment.pooler()
    assert finding.level is Level.OK
    with pooled(tmp_path / "pooler", pool_size=3):
        (finding,) = deployment.pooler()
        assert (finding.level, "transaction mode" in finding.what) == (Level.OK, True)


def test_a_transaction_is_bound_and_its_session_is_not(tmp_path, site, settings):  # noqa: F811
    settings.DELIVERY_LEASE_SECONDS = 45
    with pooled(tmp_path / "pooler"):
        unbound = value_of(TIMEOUT)
        lease = leases.take(site.connection.pk, leases.DELIVERY)
        assert lease is not None
        with transaction.atomic():
            leases.renew(lease)
            assert value_of(TIMEOUT) == "45s"
        assert value_of(TIMEOUT) == unbound == "0"


def test_without_a_pooler_each_session_is_bound(site):  # noqa: F811
    assert value_of(TIMEOUT) == "2min"


def test_rows_that_are_read_one_by_one_need_no_cursor_in_the_server_session(site):  # noqa: F811
    rows = Org.objects.iterator(chunk_size=1)
    next(rows)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_cursors WHERE name LIKE '_django%%'")
        assert cursor.fetchall() == []
