"""The admin's forms follow the same rules as the API and the import."""

from decimal import Decimal

import pytest
from django.utils.translation import override

from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(client):
    made = factories.user(factories.org(), Role.ADMIN)
    client.force_login(made)
    return made


def post_customer(client, **fields):
    values = {"name": "M\u00fcller", "erp_customer_number": "4711", "default_currency": "EUR", **fields}
    return client.post("/admin/orders/customer/add/", values)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "a\x0bb"}, "U+000B"),
        ({"erp_customer_number": "47\x1b11"}, "U+001B"),
        ({"erp_customer_number": "47\u202811"}, "line break"),
        ({"default_currency": "RMB"}, "Write CNY"),
    ],
)
def test_what_the_api_refuses_the_form_refuses(client, user, fields, said):
    page = post_customer(client, **fields)

    assert said in page.content.decode()
    assert not Customer.objects.exists()


def test_the_form_says_it_in_german(client, user):
    with override("de"):
        page = client.post(
            "/admin/orders/customer/add/",
            {"name": "a\x0bb", "default_currency": "RMB"},
            HTTP_ACCEPT_LANGUAGE="de",
        )

    assert "nicht erlaubt" in page.content.decode()


def test_a_key_is_stored_in_its_normal_form(client, user):
    post_customer(client, erp_customer_number="\ufeffK\u20114711\u200b ")

    assert Customer.objects.get().erp_customer_number == "K-4711"


def lines_form(draft, **fields):
    line = draft.lines.get()
    return {
        "external_order_number": draft.external_order_number, "customer": str(draft.customer_id), "currency": "EUR",
        "order_date": "2026-11-02", "requested_delivery_date": "", "notes": "a\r\nb", "document": "",
        "lines-TOTAL_FORMS": "1", "lines-INITIAL_FORMS": "1", "lines-MIN_NUM_FORMS": "0", "lines-MAX_NUM_FORMS": "1000",
        "lines-0-id": str(line.pk), "lines-0-draft_order": str(draft.pk), "lines-0-line_no": "1",
        "lines-0-internal_sku": "A", "lines-0-qty": "1", "lines-0-uom": "ST", "lines-0-unit_price": "1",
        "lines-0-currency": "EUR", "lines-0-customer_sku_raw": "", "lines-0-product_description": "", **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"lines-0-qty": "1_000"}, {"lines-0-qty": "\u0663"}, {"lines-0-line_no": "\u0661"}, {"lines-0-line_no": "1_0"},
        {"lines-0-unit_price": "1_0"}, {"lines-0-internal_sku": "A\x0c1"}, {"lines-0-currency": "QQQ"},
        {"notes": "a\x1bb"},
    ],
    ids=str,
)  # fmt: skip
def test_a_number_or_text_that_is_not_allowed_is_refused_in_an_order(client, user, fields):
    draft = factories.draft(user.org, status=DraftStatus.NEEDS_REVIEW, lines=1)

    page = client.post(f"/admin/orders/draftorder/{draft.pk}/change/", lines_form(draft, **fields))

    assert page.status_code == 200
    assert "errorlist" in page.content.decode()
    assert draft.lines.get().internal_sku == "INT-0001"


def test_line_breaks_of_a_browser_are_those_of_the_api(client, user):
    draft = factories.draft(user.org, status=DraftStatus.NEEDS_REVIEW, lines=1)

    client.post(f"/admin/orders/draftorder/{draft.pk}/change/", lines_form(draft))

    assert DraftOrder.objects.get().notes == "a\nb"


GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de", "REMOTE_ADDR": "127.0.0.1"}


@pytest.mark.parametrize(("typed", "stored"), [("250", "250"), ("2,5", "2.5"), ("0,125", "0.125")])
def test_a_german_user_writes_a_decimal_comma(client, user, typed, stored):
    draft = factories.draft(user.org, status=DraftStatus.NEEDS_REVIEW, lines=1)
    url = f"/admin/orders/draftorder/{draft.pk}/change/"
    form = lines_form(draft, order_date="02.11.2026", **{"lines-0-qty": typed})

    client.post(url, form, **GERMAN)
    page = client.get(url, **GERMAN).content.decode()

    assert draft.lines.get().qty == Decimal(stored)
    assert f'name="lines-0-qty" value="{typed}"' in page


def test_a_point_in_a_german_number_is_refused(client, user):
    """A German reader takes 250.000 for 250 thousand."""
    draft = factories.draft(user.org, status=DraftStatus.NEEDS_REVIEW, lines=1)
    before = draft.lines.get().qty
    form = lines_form(draft, order_date="02.11.2026", **{"lines-0-qty": "250.000"})

    page = client.post(f"/admin/orders/draftorder/{draft.pk}/change/", form, **GERMAN)

    assert "mit Dezimalkomma" in page.content.decode()
    assert draft.lines.get().qty == before
