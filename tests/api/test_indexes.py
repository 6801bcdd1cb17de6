"""On PostgreSQL with many rows, no list reads a large table from end to end."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tools.bench import read_world
from tools.bench.reads import client_of, reads

pytestmark = [pytest.mark.deep, pytest.mark.postgres_only, pytest.mark.django_db]
LARGE = {
    "erp_connectors_erpexport", "erp_connectors_erpexportevent", "orders_draftorder", "orders_draftorderline",
    "audit_auditlog",
}  # fmt: skip


@pytest.fixture
def org(monkeypatch, tmp_path, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            **settings.STORAGES["exports"],
            "OPTIONS": {"location": str(tmp_path), "allow_overwrite": True},
        },
    }
    # A test runs in a transaction, where VACUUM can't.
    monkeypatch.setattr(read_world, "STATISTICS", "ANALYZE")
    return read_world.fill(6_000, str(tmp_path))[0]


def test_no_read_of_the_api_scans_a_large_table(org):
    client = client_of(org)
    scanned, seen = {}, 0
    for read in reads(org, client):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/api/v1/{read.paths[0]}").status_code == 200
        for query in captured:
            if query["sql"].startswith(("SELECT", "WITH")):
                seen += 1
                if found := scans(query["sql"]) & LARGE:
                    scanned[read.name] = found

    assert seen > 100
    assert scanned == {}


def test_a_scan_would_be_seen():
    assert scans("SELECT * FROM erp_connectors_erpexport WHERE attempts > 7") == {"erp_connectors_erpexport"}


def scans(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        plan = cursor.fetchone()[0]
    return set(_scanned(plan if isinstance(plan, list) else json.loads(plan)))


def _scanned(plan):
    if isinstance(plan, list):
        for one in plan:
            yield from _scanned(one)
    elif isinstance(plan, dict):
        if plan.get("Node Type") == "Seq Scan":
            yield plan["Relation Name"]
        for value in plan.values():
            if isinstance(value, dict | list):
                yield from _scanned(value)
