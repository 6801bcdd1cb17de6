"""Every read of the API on a database that a year of work has filled: the whole answer, log-in check included."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Model, QuerySet
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from erp_connectors.models import ERPConnection, ERPExport
from orderflow.audit.models import AuditLog
from orderflow.orders.models import Customer, DraftOrder
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories
from tools.bench import read_world
from tools.bench.measuring import Result
from tools.bench.report import percentile

TIMES = 60
RowT = TypeVar("RowT", bound=Model)


@dataclass(frozen=True)
class Read:
    """``paths`` are asked for in turn, so that no single row is what stays in every cache."""

    name: str
    paths: list[str]


def measure(exports: int, folder: Path, *, times: int = TIMES) -> Result:
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    largest = read_world.fill(exports, str(folder))[0]
    there = ERPExport.objects.count()
    print(f"\n  {there} exports made in {time.perf_counter() - started:.0f} s", flush=True)
    result = Result("reads", f"Reads of the API at {there:,} exports, PostgreSQL", baseline="")
    counts: list[str] = []
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        client = client_of(largest)
        for read in reads(largest, client):
            result.seconds[read.name] = _timed(client, read, times)
            counts.append(f"{read.name}: {statements(client, read.paths[0])}")
            p95 = percentile(result.seconds[read.name], 95)
            print(f"  {read.name:60} {p95 * 1000:8.1f} ms", flush=True)
    result.notes = [f"Statements, log-in check included: {'; '.join(counts)}."]
    return result


def client_of(org: Org) -> APIClient:
    from knox.models import get_token_model  # noqa: PLC0415

    client = APIClient()
    _, token = get_token_model().objects.create(user=factories.user(org, Role.ADMIN))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def reads(org: Org, client: APIClient) -> Iterator[Read]:
    chance = random.Random(4711)  # noqa: S311  # the same rows each time
    yield from _order_reads(org, client, chance)
    yield from _export_reads(org, client, chance)
    yield from _other_reads(org, client, chance)
    connections = list(ERPConnection.objects.for_org(org))
    yield _read("connectors")
    yield Read("connectors/{id}", [f"connectors/{one.pk}" for one in connections])


def _order_reads(org: Org, client: APIClient, chance: random.Random) -> Iterator[Read]:
    orders = some(DraftOrder.objects.for_org(org).exclude(erp_order_id=""), chance)
    customers = some(Customer.objects.for_org(org), chance)
    yield _read("draft-orders")
    yield _read("draft-orders", limit=100)
    yield _deep("draft-orders", client)
    for status in ("PUSHED", "ERROR", "READY", "PUSHING", "NEW"):
        yield _read("draft-orders", status=status)
    yield _deep("draft-orders", client, status="ERROR")
    yield Read("draft-orders?status=READY&status=ERROR", ["draft-orders?status=READY&status=ERROR"])
    yield _each("draft-orders", "customer=", customers, lambda one: {"customer": one.pk})
    for what, text in _searches(orders, customers):
        yield Read(
            f"draft-orders?search={what}", [f"draft-orders?{urlencode({'search': one})}" for one in text]
        )
    one = orders[0]
    yield _deep("draft-orders", client, search=one.external_order_number[:6])
    yield _read("draft-orders", search=one.external_order_number[:6], status="READY")
    yield Read("draft-orders/{id}", [f"draft-orders/{one.pk}" for one in orders])


def _searches(orders: list[DraftOrder], customers: list[Customer]) -> Iterator[tuple[str, list[str]]]:
    yield "an order number", [one.external_order_number for one in orders]
    yield "digits of an order number", [one.external_order_number[3:] for one in orders]
    yield "the beginning of an order number", [one.external_order_number[:9] for one in orders]
    yield "an ERP number", [one.erp_order_id for one in orders]
    yield "a customer", [one.name for one in customers]
    yield "a customer's number", [one.erp_customer_number for one in customers]
    yield "what most orders have", ["po", "gmbh"]
    yield "what no order has", ["nowhere", "PO-77777777", "xy zz"]


def _export_reads(org: Org, client: APIClient, chance: random.Random) -> Iterator[Read]:
    exports = some(ERPExport.objects.for_org(org).defer("payload"), chance)
    read_world.archive(exports)
    yield Read("erp-exports/{id}/events", [f"erp-exports/{one.pk}/events" for one in exports])
    yield _read("erp-exports")
    yield _read("erp-exports", limit=100)
    yield _deep("erp-exports", client)
    for status in ("ACKED", "FAILED", "SENT", "PENDING"):
        yield _read("erp-exports", status=status)
    yield _deep("erp-exports", client, status="FAILED")
    yield _read("erp-exports", overdue="true")
    yield _read("erp-exports", overdue="false")
    yield _each("erp-exports", "draft_order_id=", exports, lambda one: {"draft_order_id": one.draft_order_id})
    yield _each(
        "erp-exports", "created_before=", exports, lambda one: {"created_before": one.created_at.isoformat()}
    )
    yield _each(
        "erp-exports", "created_after=", exports, lambda one: {"created_after": one.created_at.isoformat()}
    )
    yield Read("erp-exports/{id}", [f"erp-exports/{one.pk}" for one in exports])
    yield Read("erp-exports/{id}/payload", [f"erp-exports/{one.pk}/payload" for one in exports])


def _other_reads(org: Org, client: APIClient, chance: random.Random) -> Iterator[Read]:
    customers = some(Customer.objects.for_org(org), chance)
    entries = some(AuditLog.objects.for_org(org), chance)
    yield _read("me")
    yield _read("customers")
    yield _deep("customers", client)
    yield _each("customers", "search=", customers, lambda one: {"search": one.name[5:20]})
    yield _each(
        "customers",
        "erp_customer_number=",
        customers,
        lambda one: {"erp_customer_number": one.erp_customer_number},
    )
    yield _read("audit-log")
    yield _deep("audit-log", client)
    yield _each("audit-log", "entity_id=", entries, lambda one: {"entity_id": one.entity_id})
    orders = some(DraftOrder.objects.for_org(org), chance)
    yield _each("audit-log", "search=", orders, lambda one: {"search": one.external_order_number})
    yield _read("audit-log", action="DRAFT_PUSHED")
    yield _read("audit-log", action="KEYS_ROTATED")
    yield _read("audit-log", actor="nobody@example.com")
    yield _read("audit-log", request_id="no-such-request")
    yield _each(
        "audit-log", "created_before=", entries, lambda one: {"created_before": one.created_at.isoformat()}
    )


def some(rows: QuerySet[RowT], chance: random.Random, how_many: int = 20) -> list[RowT]:
    ids = sorted(rows.values_list("pk", flat=True))
    return list(rows.filter(pk__in=chance.sample(ids, min(how_many, len(ids)))))


def _read(path: str, **query: object) -> Read:
    whole = f"{path}?{urlencode(query)}" if query else path
    return Read(whole, [whole])


def _each(path: str, name: str, rows: list[RowT], query: Callable[[RowT], dict[str, object]]) -> Read:
    return Read(f"{path}?{name}", [f"{path}?{urlencode(query(row))}" for row in rows])


def _deep(path: str, client: APIClient, **query: object) -> Read:
    """A page far from the first: pages of 100 up to 20,000 rows in."""
    url = f"/api/v1/{path}?{urlencode({**query, 'limit': 100})}"
    for _ in range(200):
        after = client.get(url).json()["next"]
        if not after:
            break
        url = after
    shown = f"{path}?{urlencode(query)}" if query else path
    return Read(f"{shown}, far down", [url.split("/api/v1/")[1].replace("limit=100", "limit=50")])


def _timed(client: APIClient, read: Read, times: int) -> list[float]:
    seconds = []
    paths = cycle(read.paths)
    client.get(f"/api/v1/{read.paths[0]}")
    for _ in range(times):
        path = next(paths)
        started = time.perf_counter()
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, f"{path}: {answer.content!r:.500}"
        assert answer.getvalue()
        seconds.append(time.perf_counter() - started)
    return seconds


def statements(client: APIClient, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(f"/api/v1/{path}")
    return len(captured)
