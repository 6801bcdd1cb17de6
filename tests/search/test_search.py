"""One search for every script, the same on SQLite and PostgreSQL: orders, customers, the audit log, admin and API."""

# ruff: noqa: RUF001  # texts of many scripts; our own names

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors.services.exports.push import push
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.roles import Role
from tests import factories

# Committed, so that they run on PostgreSQL in the everyday tier, too.
pytestmark = pytest.mark.django_db(transaction=True)
NUMBERS = ["Заказ", "注文書", "ΠΑΡΑΓΓΕΛΙΑ", "Ö", "заказ-17", "Ω-17", "PO-12345", "Größe-9"]
FINDS = {
    "Заказ": {"Заказ", "заказ-17"},
    "ЗАКАЗ-17": {"заказ-17"},
    "注文書": {"注文書"},
    "文書": {"注文書"},
    "παραγγελία": {"ΠΑΡΑΓΓΕΛΙΑ"},
    "Ö": {"Ö"},
    "oe": {"Ö"},
    "17": {"заказ-17", "Ω-17"},
    "ω 17": {"Ω-17"},
    "po-123": {"PO-12345"},
    "345": set(),
    "groesse": {"Größe-9"},
    "GRÖSSE": {"Größe-9"},
    "%": set(),
    "---": set(),
}
BUYERS = ["ООО Мебель", "Müller & Weiß GmbH", "René Dupont", "株式会社山田", "Mueller Nord"]
FINDS_BUYERS = {
    "мебель": {"ООО Мебель"},
    "ООО «МЕБЕЛЬ»": {"ООО Мебель"},
    "Mueller": {"Müller & Weiß GmbH", "Mueller Nord"},
    "müller": {"Müller & Weiß GmbH", "Mueller Nord"},
    "MULLER WEISS": {"Müller & Weiß GmbH"},
    "rene": {"René Dupont"},
    "upon": {"René Dupont"},
    "山田": {"株式会社山田"},
    "&": set(),
}


@pytest.fixture
def org(tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def orders(org):
    other = factories.customer(org, name="Andere", erp_customer_number="99")
    buyers = [
        factories.customer(org, name=name, erp_customer_number=f"К-{n}") for n, name in enumerate(BUYERS)
    ]
    return DraftOrder.objects.bulk_create(
        [
            *(DraftOrder(org=org, customer=other, external_order_number=number) for number in NUMBERS),
            *(
                DraftOrder(org=org, customer=buyer, external_order_number=buyer.name[::-1])
                for buyer in buyers
            ),
        ]
    )


@pytest.fixture
def api(org):
    program = APIClient()
    program.force_authenticate(factories.user(org, Role.ADMIN))
    return program


@pytest.fixture
def browser(client, org):
    client.force_login(factories.user(org, Role.ADMIN))
    return client


def by_api(api, path, text):
    answer = api.get(f"/api/v1/{path}", {"search": text, "limit": 100})
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def by_admin(browser, page, text):
    answer = browser.get(reverse(f"admin:{page}_changelist"), {"q": text})
    assert answer.status_code == 200
    return answer.context["cl"].result_list


def test_an_order_is_found_by_its_number_in_any_script(orders, api, browser):
    numbers = set(NUMBERS)
    found = {
        text: {row["external_order_number"] for row in by_api(api, "draft-orders", text)} & numbers
        for text in FINDS
    }
    shown = {
        text: {row.external_order_number for row in by_admin(browser, "orders_draftorder", text)} & numbers
        for text in FINDS
    }

    assert found == FINDS
    assert shown == FINDS


def test_an_order_is_found_by_its_customer_in_any_spelling(orders, api):
    for text, names in FINDS_BUYERS.items():
        found = {row["customer_name"] for row in by_api(api, "draft-orders", text)}
        assert found - {"Andere"} == names, text
    assert {row["customer_name"] for row in by_api(api, "draft-orders", "к-0")} == {"ООО Мебель"}


def test_a_customer_is_found_in_any_spelling(orders, api, browser):
    for text, names in FINDS_BUYERS.items():
        assert {row["name"] for row in by_api(api, "customers", text)} == names, text
    assert {row.name for row in by_admin(browser, "orders_customer", "weiss mueller")} == {
        "Müller & Weiß GmbH"
    }


def test_the_audit_log_finds_what_is_about_an_order_and_its_exports(org, api, browser):
    asker = factories.user(org)
    order = factories.draft(org, external_order_number="Заказ-17")
    export = push(order.pk, actor=asker).export
    push(factories.draft(org, external_order_number="PO-1").pk, actor=asker)
    record(
        Entry(action=Action.EXPORT_ACKED, org_id=org.pk, entity_type="ERPExport", entity_id=str(export.pk))
    )
    wanted = {str(order.pk), str(export.pk)}

    for text in ("заказ", "ЗАКАЗ 17"):
        assert {row["entity_id"] for row in by_api(api, "audit-log", text)} == wanted, text
        assert {row.entity_id for row in by_admin(browser, "audit_auditlog", text)} == wanted, text
    assert {row["entity_id"] for row in by_api(api, "audit-log", export.filename)} == {str(export.pk)}
    assert {row["entity_id"] for row in by_api(api, "audit-log", str(order.pk).upper())} == {str(order.pk)}
    assert {row["actor"] for row in by_api(api, "audit-log", asker.email)} == {asker.email}
    assert by_api(api, "audit-log", "---") == []


def test_the_audit_log_finds_nothing_of_another_org(org, api):
    other = factories.org()
    asker = factories.user(other)
    order = factories.draft(other, external_order_number="PO-777")
    record(
        Entry(
            action=Action.DRAFT_APPROVED,
            org_id=other.pk,
            entity_type="DraftOrder",
            entity_id=str(order.pk),
            actor=asker,
        )
    )

    for text in ("PO-777", str(order.pk), asker.email):
        assert by_api(api, "audit-log", text) == []


@pytest.mark.parametrize("path", ["draft-orders", "customers", "audit-log"])
@pytest.mark.parametrize(
    "text", [" ".join(f"w{n}" for n in range(1_100)), "".join(chr(0x4E00 + n) for n in range(200))]
)
def test_more_words_than_a_search_may_have_are_refused(api, browser, path, text):
    refused = api.get(f"/api/v1/{path}", {"search": text})
    assert refused.status_code == 422
    (problem,) = refused.json()["error"]["details"]["search"]
    assert problem["code"] == "max_words"
    assert browser.get(reverse("admin:orders_draftorder_changelist"), {"q": text}).status_code == 422
