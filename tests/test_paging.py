"""Long tables are read without a cursor that lives in the database's session."""

import re
from pathlib import Path

import pytest
from django.db import connection

from orderflow.orders.models import Customer
from orderflow.paging import by_key
from tests import factories

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def customers(db):
    org = factories.org()
    return [factories.customer(org, name=name) for name in "bacabcabca"]


@pytest.mark.parametrize("size", [1, 3, 10, 11])
@pytest.mark.parametrize("key", [(), ("name", "pk"), ("org_id", "name", "pk")])
@pytest.mark.every_database
def test_every_row_comes_once_and_in_order(customers, key, size):
    wanted = list(Customer.objects.order_by(*(key or ("pk",))))

    assert list(by_key(Customer.objects.all(), *key, size=size)) == wanted


def test_rows_may_be_values_and_may_vanish_meanwhile(customers):
    rows = by_key(Customer.objects.values_list("name", "pk"), "name", "pk", key_of=lambda row: row, size=2)
    seen = []
    for name, pk in rows:
        seen.append(name)
        Customer.objects.filter(pk=pk).delete()

    assert seen == sorted("bacabcabca")


def test_no_code_of_ours_opens_a_server_side_cursor():
    files = [path for part in ("orderflow", "erp_connectors") for path in (ROOT / part).rglob("*.py")]

    assert [str(path) for path in files if re.search(r"\.iterator\(|\bcursor\(name=", path.read_text())] == []


@pytest.mark.postgres_only
def test_nor_does_django_for_others(customers):
    rows = Customer.objects.iterator(chunk_size=1)
    next(rows)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (0,)
