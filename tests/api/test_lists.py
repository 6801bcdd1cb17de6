"""Lists: whole and stable pages, filters and search, and a constant number of statements."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from erp_connectors.models import AckFile, ERPExport, add_events
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record_many
from orderflow.orders import search
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def client(org):
    api = APIClient()
    api.force_authenticate(factories.user(org, Role.ADMIN))
    return api


def orders_at(org, *times):
    return DraftOrder.objects.bulk_create(
        DraftOrder(org=org, external_order_number=f"PO-{n}", created_at=time) for n, time in enumerate(times)
    )


def walk(client, url, between=lambda: None):
    """The ids of every page, in order."""
    pages = []
    while url:
        page = client.get(url).json()
        pages.append([row["id"] for row in page["results"]])
        url = page["next"]
        between()
    return pages


def test_pages_together_are_the_whole_list_newest_first(client, org):
    now = timezone.now()
    rows = orders_at(org, *(now - timedelta(seconds=n) for n in range(23)))

    pages = walk(client, "/api/v1/draft-orders?limit=5")

    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert [id_ for page in pages for id_ in page] == [str(row.pk) for row in rows]


@pytest.mark.parametrize("limit", [1, 4, 10])
def test_rows_of_one_time_are_each_shown_once_while_more_of_that_time_come(client, org, limit):
    now = timezone.now()
    there = {str(row.pk) for row in orders_at(org, *[now] * 20)}

    def more():
        orders_at(org, now, now, now + timedelta(seconds=1))

    shown = [id_ for page in walk_some(client, limit, more) for id_ in page]

    assert len(shown) == len(set(shown))
    assert there <= set(shown)


def walk_some(client, limit, more):
    """More come between pages, at first; then the list is walked to its end."""
    left = [6]

    def between():
        if left[0]:
            left[0] -= 1
            more()

    return walk(client, f"/api/v1/draft-orders?limit={limit}", between)


def test_rows_that_go_meanwhile_hide_no_others(client, org):
    rows = orders_at(org, *[timezone.now()] * 30)
    first = client.get("/api/v1/draft-orders?limit=10").json()
    gone = [row["id"] for row in first["results"][5:]]
    DraftOrder.objects.filter(pk__in=gone).delete()

    rest = walk(client, first["next"])

    shown = {row["id"] for row in first["results"]} | {id_ for page in rest for id_ in page}
    assert shown == {str(row.pk) for row in rows}


def test_previous_leads_back_over_the_same_pages(client, org):
    orders_at(org, *[timezone.now()] * 7, *[timezone.now() - timedelta(days=1)] * 6)
    forward = walk(client, "/api/v1/draft-orders?limit=4")
    url, back = "/api/v1/draft-orders?limit=4", []
    while url:
        last, url = url, client.get(url).json()["next"]
    while last:
        page = client.get(last).json()
        back.append([row["id"] for row in page["results"]])
        last = page["previous"]

    assert back[1:] == forward[:-1][::-1][: len(back) - 1]
    assert {id_ for page in back for id_ in page} == {id_ for page in forward for id_ in page}


def test_a_page_whose_rows_are_all_gone_is_empty_and_leads_back(client, org):
    orders_at(org, *[timezone.now()] * 4)
    first = client.get("/api/v1/draft-orders?limit=2").json()
    kept = [row["id"] for row in first["results"]]
    DraftOrder.objects.exclude(pk__in=kept).delete()

    beyond = client.get(first["next"]).json()

    assert (beyond["results"], beyond["next"]) == ([], None)
    back = client.get(beyond["previous"]).json()
    assert [row["id"] for row in back["results"]] == kept


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "٣", "9" * 5000])
def test_a_limit_that_is_none_is_refused(client, limit):
    answer = client.get("/api/v1/draft-orders", {"limit": limit})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {
        "limit": [{"code": "invalid", "message": "Write a number from 1 to 100."}]
    }


def test_a_cursor_of_another_kind_is_refused(client):
    for cursor in (
        "",
        "abc",
        "W10",
        "WyJuIiwiMjAyNi0xMS0yMyIsIngiXQ",
        "WyJuIiwgIngiLCAieSJd",
        "\x00",
        "ü",
        "=",
    ):
        assert client.get("/api/v1/draft-orders", {"cursor": cursor}).status_code == 422


def test_pages_keep_their_filter(client, org):
    orders_at(org, *[timezone.now()] * 6)
    DraftOrder.objects.filter(external_order_number__in=["PO-1", "PO-2", "PO-3"]).update(
        status=DraftStatus.READY
    )

    pages = walk(client, "/api/v1/draft-orders?limit=2&status=READY")

    assert [len(page) for page in pages] == [2, 1]


LISTS = [
    "draft-orders",
    "erp-exports",
    "connectors",
    "customers",
    "audit-log",
    "erp-exports/{id}/events",
    "ack-files",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_the_same_statements_however_long_it_is(client, org, path, tmp_path):
    add(org, path, 2, tmp_path)
    few = statements(client, path)
    add(org, path, 20, tmp_path)

    assert statements(client, path) == few


def test_every_list_of_the_api_is_counted():
    schema = APIClient().get("/api/v1/schema", {"format": "json"}).json()
    paged = [
        path.removeprefix("/api/v1/")
        for path, item in schema["paths"].items()
        if any(one["name"] == "cursor" for one in item.get("get", {}).get("parameters", []))
    ]

    assert sorted(paged) == sorted(LISTS)


def test_ids_that_are_numbers_and_names_page_as_well(client, org, tmp_path):
    add(org, "customers", 7, tmp_path)
    add(org, "erp-exports/{id}/events", 7, tmp_path)

    for path in ("customers", f"erp-exports/{ERPExport.objects.get().pk}/events"):
        page = client.get(f"/api/v1/{path}?limit=3").json()
        whole = client.get(f"/api/v1/{path}").json()["results"]
        rows = page["results"]
        while page["next"]:
            page = client.get(page["next"]).json()
            rows = rows + page["results"]
        assert rows == whole
        assert len(rows) >= 7


def statements(client, path):
    path = path.replace("{id}", str(getattr(ERPExport.objects.first(), "pk", "")))
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(f"/api/v1/{path}?limit=100")
    assert answer.status_code == 200
    assert answer.json()["results"]
    return len(captured)


def add(org, path, how_many, folder):
    ADD[path](org, how_many, {"mode": "filesystem", "export_path": str(folder)})


def add_connections(org, how_many, config):
    for _ in range(how_many):
        factories.connection(org, config, status="DISABLED")


def add_customers(org, how_many, config):
    for n in range(how_many):
        factories.customer(org, name=f"Kunde {n % 5}")


def add_audit_entries(org, how_many, config):
    who = User.objects.first()
    entry = Entry(action=Action.DRAFT_PUSHED, org_id=org.pk, entity_type="X", entity_id="1", actor=who)
    record_many([entry] * how_many)


def add_exports(org, how_many, config):
    where = factories.connection(org, config, status="DISABLED")
    for draft in factories.drafts(org, how_many, status=DraftStatus.PUSHING):
        ERPExport.objects.create(
            org=org,
            connection=where,
            draft_order=draft,
            filename=f"{draft.pk}.json",
            approved_at=timezone.now(),
        )


def add_timeline(org, how_many, config):
    if not ERPExport.objects.exists():
        add_exports(org, 1, config)
    for _ in range(how_many):
        add_events([ERPExport.objects.get()], stage="stage", what="staged", at=timezone.now())


def add_ack_files(org, how_many, config):
    add_exports(org, how_many, config)
    for export in ERPExport.objects.filter(ack_files=None):
        name = f"ack_{export.filename}"
        AckFile.objects.create(org=org, connection=export.connection, export=export, name=name)


ADD = {
    "draft-orders": add_exports,
    "erp-exports": add_exports,
    "connectors": add_connections,
    "customers": add_customers,
    "audit-log": add_audit_entries,
    "erp-exports/{id}/events": add_timeline,
    "ack-files": add_ack_files,
}


FINDS = {
    "PO-12345": True,
    "po-12345": True,
    "12345": True,
    "123": True,
    "PO-12": True,
    "345": False,
    "o-123": False,
    "po 12345": True,
    "12345 2026": True,
    "12345 2027": False,
    "so-2026-0007": True,
    "0007": True,
    "weiß": True,
    "müll": True,
    "& Weiß": True,
    "4711": True,
    "711": False,
    "' OR 1=1": False,
    "x:* | 'a'": False,
    "(((": False,
    "%": False,
    "_": False,
    "\\": False,
}


def test_search_finds_by_words_of_numbers_and_by_customer(client, org):
    buyer = factories.customer(org, name="Müller & Weiß GmbH", erp_customer_number="4711")
    draft = factories.draft(
        org, customer=buyer, external_order_number="PO-12345", erp_order_id="SO-2026-0007"
    )
    factories.draft(factories.org(), external_order_number="PO-12345")
    other = factories.customer(org, name="Bäder Süd", erp_customer_number="9")
    factories.draft(org, customer=other, external_order_number="X-1")

    found = {
        text: [row["id"] for row in client.get("/api/v1/draft-orders", {"search": text}).json()["results"]]
        for text in FINDS
    }

    assert found == {text: [str(draft.pk)] if finds else [] for text, finds in FINDS.items()}


def test_search_finds_the_orders_of_very_many_customers(client, org):
    for n in range(205):
        factories.customer(org, name=f"Elektro {n}", erp_customer_number=str(n))
    draft = factories.draft(org, customer=factories.customer(org, name="Elektro Z"))

    found = client.get("/api/v1/draft-orders", {"search": "elektro"}).json()["results"]

    assert [row["id"] for row in found] == [str(draft.pk)]


def test_search_finds_the_newest_of_very_many_orders(client, org, monkeypatch):
    monkeypatch.setattr(search, "FEW_ORDERS", 5)
    rows = orders_at(org, *(timezone.now() - timedelta(seconds=n) for n in range(12)))
    DraftOrder.objects.create(org=org, external_order_number="X-1")

    pages = walk(client, "/api/v1/draft-orders?search=po&limit=5")

    assert [id_ for page in pages for id_ in page] == [str(row.pk) for row in rows]
