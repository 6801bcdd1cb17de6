"""The admin's pages on a database that a year of work has filled: the whole answer, session and rights included."""

import random
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from erp_connectors.models import AckFile, ERPConnection, ERPExport
from orderflow.audit.models import AuditLog
from orderflow.orders.models import Customer, DraftOrder
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories
from tools.bench import page_world
from tools.bench.measuring import Result
from tools.bench.reads import Read, some
from tools.bench.report import percentile

TIMES, AT_LEAST = 20, 3
LONGEST = 20.0  # seconds on one page: a slow one is asked less often


def measure(exports: int, folder: Path, *, times: int = TIMES) -> Result:
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    largest = page_world.fill(exports, str(folder))[0]
    there = ERPExport.objects.count()
    print(f"\n  {there} exports made in {time.perf_counter() - started:.0f} s", flush=True)
    result = Result("pages", f"Pages of the admin at {there:,} exports, PostgreSQL", baseline="")
    counts: list[str] = []
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        for read, client in _pages(largest):
            result.seconds[read.name] = _timed(client, read, times)
            counts.append(f"{read.name}: {_statements(client, read.paths[0])}")
            p95 = percentile(result.seconds[read.name], 95)
            print(f"  {read.name:60} {p95 * 1000:8.1f} ms", flush=True)
    result.notes = [f"Statements, session and user included: {'; '.join(counts)}."]
    return result


def _pages(org: Org) -> Iterator[tuple[Read, Client]]:
    member, staff = Client(), Client()
    member.force_login(factories.user(org, Role.ADMIN))
    staff.force_login(factories.user(None))
    for read in pages(org):
        yield read, member
    front = reverse("admin:index")
    yield Read("overview, of all orgs", [front]), staff
    yield Read("export list, of all orgs", [_list(ERPExport)]), staff


def pages(org: Org) -> Iterator[Read]:
    chance = random.Random(4711)  # noqa: S311  # the same rows each time
    exports = some(ERPExport.objects.for_org(org).defer("payload"), chance)
    orders = some(DraftOrder.objects.for_org(org).exclude(erp_order_id=""), chance)
    customers = some(Customer.objects.for_org(org), chance)
    yield Read("overview", [reverse("admin:index")])
    yield Read("overview, the part that is refreshed", [reverse("admin:index") + "?part"])
    yield Read("order list", [_list(DraftOrder)])
    far = max(1, DraftOrder.objects.for_org(org).count() // 100 * 4 // 5)
    yield Read("order list, far down", [f"{_list(DraftOrder)}?p={far}"])
    yield from _searches("order list", DraftOrder, orders, customers)
    yield Read("order list, needs attention", [f"{_list(DraftOrder)}?attention=yes"])
    yield Read("order list, waiting for approval", [f"{_list(DraftOrder)}?status__exact=READY"])
    yield Read("order page", [_page(order) for order in orders])
    yield Read("export list", [_list(ERPExport)])
    yield from _searches("export list", ERPExport, orders, customers)
    yield Read("export list, a file name", [_search(ERPExport, one.filename) for one in exports])
    yield Read("export list, needs attention", [f"{_list(ERPExport)}?attention=yes"])
    yield Read("export list, failed and unresolved", [f"{_list(ERPExport)}?unresolved=all"])
    yield Read("export list, overdue", [f"{_list(ERPExport)}?overdue=yes"])
    yield Read("export page", [_page(export) for export in exports])
    yield Read("ack files", [_list(AckFile)])
    yield Read("ack files, needs attention", [f"{_list(AckFile)}?attention=yes"])
    yield Read("customers", [_list(Customer)])
    yield Read("audit log", [_list(AuditLog)])
    yield Read("connections", [_list(ERPConnection)])
    yield Read("connection page", [_page(one) for one in ERPConnection.objects.for_org(org)])


def _searches(
    name: str, model: type[Model], orders: list[DraftOrder], customers: list[Customer]
) -> Iterator[Read]:
    for what, texts in (
        ("an order number", [one.external_order_number for one in orders]),
        ("an ERP number", [one.erp_order_id for one in orders]),
        ("a customer", [one.name for one in customers]),
        ("what none has", ["nowhere", "PO-77777777"]),
    ):
        yield Read(f"{name}, {what}", [_search(model, text) for text in texts])


def _list(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def _search(model: type[Model], text: str) -> str:
    return f"{_list(model)}?{urlencode({'q': text})}"


def _page(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def _timed(client: Client, read: Read, times: int) -> list[float]:
    seconds = []
    paths = cycle(read.paths)
    client.get(read.paths[0])
    for _ in range(times):
        path = next(paths)
        started = time.perf_counter()
        answer = client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.headers.get('Location')}"
        seconds.append(time.perf_counter() - started)
        if len(seconds) >= AT_LEAST and sum(seconds) > LONGEST:
            break
    return seconds


def _statements(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(captured)
