"""What is odd about an order is a warning with a code, before it is approved and pushed; it blocks nothing."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from orderflow.messages import Message
from orderflow.orders.drafting import create_draft
from orderflow.orders.erp_numbers import is_placeholder
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.order_warnings import warnings_by_order, warnings_of
from orderflow.orders.states import DraftStatus
from orderflow.orders.warning_codes import MESSAGES, Code, OrderWarning
from tests import factories
from tests.services.delivery.test_concurrency import THREADS, together

TODAY = timezone.now().date()
LINE = {
    "line_no": 1, "internal_sku": "INT-1", "qty": Decimal(10), "uom": "M", "unit_price": Decimal("1.25"),
    "currency": "EUR",
}  # fmt: skip


@pytest.fixture
def buyer(db):
    return factories.customer(factories.org())


def order(buyer, *lines, number="PO-1", **header):
    values = {"customer": buyer, "external_order_number": number, "currency": "EUR", **header}
    return create_draft(buyer.org, header=values, lines=[{**LINE, **line} for line in lines or ({},)])


def codes(draft, **options):
    return [warning.code for warning in warnings_by_order([draft], **options)[draft.pk]]


def test_an_ordinary_order_has_none(buyer):
    assert codes(order(buyer, order_date=TODAY, requested_delivery_date=TODAY + timedelta(days=3))) == []


def test_the_same_number_again_is_a_warning_on_both_whatever_the_status(buyer):
    first, second = order(buyer), order(buyer)
    DraftOrder.objects.filter(pk=first.pk).update(status=DraftStatus.PUSHED)

    (warning,) = warnings_of(second)
    assert (warning.code, warning.params) == (
        Code.ORDER_NUMBER_REPEATED,
        {"count": 2, "status": "PUSHED", "order_ids": [str(first.pk)]},
    )
    assert codes(DraftOrder.objects.get(pk=first.pk)) == [Code.ORDER_NUMBER_REPEATED]


def test_another_customer_another_number_no_number_and_a_rejected_order_are_none(buyer):
    order(buyer, number="PO-2")
    order(factories.customer(buyer.org, erp_customer_number="4712"))
    order(factories.customer(factories.org()))
    DraftOrder.objects.filter(pk=order(buyer).pk).update(status=DraftStatus.REJECTED)
    order(buyer, number="")

    assert codes(order(buyer)) == []
    assert codes(order(buyer, number="")) == []


@pytest.mark.django_db(transaction=True)
def test_of_many_orders_with_one_number_at_once_each_but_the_first_carries_the_warning():
    buyer = factories.customer(factories.org())

    found = together(lambda: warnings_of(order(buyer)))

    assert DraftOrder.objects.count() == THREADS
    assert sum(not warnings for warnings in found) <= 1
    assert all(len(warnings_of(draft)) == 1 for draft in DraftOrder.objects.all())


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        ({}, {"currency": "USD"}, Code.LINE_CURRENCY_DIFFERS),
        ({}, {"internal_sku": "\u0410-1"}, Code.LETTERS_LOOK_ALIKE),
        ({"external_order_number": "P\u041e-7"}, {}, Code.LETTERS_LOOK_ALIKE),
        ({}, {"unit_price": Decimal(0)}, Code.PRICE_NOT_POSITIVE),
        ({}, {"unit_price": Decimal("-0.01")}, Code.PRICE_NOT_POSITIVE),
        ({"currency": "JPY"}, {"unit_price": Decimal("1.5"), "currency": "JPY"}, Code.PRICE_HAS_DECIMALS),
        ({"currency": "JPY"}, {"unit_price": Decimal("1.5"), "currency": ""}, Code.PRICE_HAS_DECIMALS),
        ({"order_date": date(1, 1, 1)}, {}, Code.ORDER_DATE_IMPLAUSIBLE),
        ({"order_date": date(9999, 12, 31)}, {}, Code.ORDER_DATE_IMPLAUSIBLE),
        ({"order_date": TODAY + timedelta(days=40)}, {}, Code.ORDER_DATE_IMPLAUSIBLE),
        ({"requested_delivery_date": date(1, 1, 1)}, {}, Code.DELIVERY_DATE_IMPLAUSIBLE),
        ({"requested_delivery_date": date(9999, 12, 31)}, {}, Code.DELIVERY_DATE_IMPLAUSIBLE),
        ({"requested_delivery_date": TODAY - timedelta(days=2)}, {}, Code.DELIVERY_DATE_PAST),
        (
            {"order_date": TODAY + timedelta(days=5), "requested_delivery_date": TODAY + timedelta(days=4)},
            {},
            Code.DELIVERY_BEFORE_ORDER_DATE,
        ),
    ],
)
def test_each_oddity_has_its_code(buyer, header, line, expected):
    draft = order(buyer, line, **header)

    assert codes(draft) == [expected]
    assert draft.status == DraftStatus.READY


def test_whole_yen_and_a_missing_price_are_no_oddities(buyer):
    assert codes(order(buyer, {"unit_price": Decimal(150), "currency": "JPY"}, currency="JPY")) == []
    assert codes(order(buyer, {"unit_price": None}, number="PO-2")) == []


def test_a_delivery_wanted_today_is_not_in_the_past_anywhere(buyer):
    late = datetime(2026, 11, 29, 23, 30, tzinfo=ZoneInfo("America/Los_Angeles"))
    draft = order(buyer, requested_delivery_date=date(2026, 11, 29))

    assert codes(draft, now=late) == []
    assert codes(draft, now=late + timedelta(days=2)) == [Code.DELIVERY_DATE_PAST]


def test_a_quantity_far_above_the_usual_is_told_with_its_lines(buyer):
    for n, qty in enumerate((80, 100, 120)):
        earlier = order(buyer, {"qty": Decimal(qty)}, number=f"PO-{n}")
        DraftOrder.objects.filter(pk=earlier.pk).update(status=DraftStatus.PUSHED)

    lines = [
        {"qty": Decimal(400)},
        {"line_no": 2, "qty": Decimal(1000)},
        {"line_no": 3, "qty": 1000, "uom": "KG"},
    ]
    (warning,) = warnings_of(order(buyer, *lines, number="PO-9"))

    assert (warning.code, warning.params) == (Code.QUANTITY_UNUSUAL, {"lines": [2], "count": 1})


def test_many_lines_are_listed_by_the_first_ten(buyer):
    lines = [{"line_no": n, "unit_price": Decimal(0)} for n in range(1, 21)]
    (warning,) = warnings_of(order(buyer, *lines))

    assert warning.params == {"lines": list(range(1, 11)), "count": 20}
    assert "20" in warning.english()


def test_an_erp_number_of_several_orders_is_a_warning_on_each(buyer):
    drafts = [order(buyer, number=f"PO-{n}") for n in range(3)]
    other_org = order(factories.customer(factories.org()))
    DraftOrder.objects.update(status=DraftStatus.PUSHED, erp_order_id="SO-1")
    DraftOrder.objects.filter(pk=drafts[2].pk).update(erp_order_id="SO-2")

    found = {draft.pk: draft for draft in DraftOrder.objects.all()}
    assert [codes(found[draft.pk]) for draft in drafts] == [[Code.ERP_NUMBER_SHARED]] * 2 + [[]]
    assert codes(found[other_org.pk]) == []


@pytest.mark.parametrize("number", ["N/A", "n.a.", "0", "000", "-", "null", "None", "TBD", "unknown", "9999"])
def test_what_stands_for_no_number_is_told(buyer, number):
    draft = order(buyer)
    DraftOrder.objects.filter(pk=draft.pk).update(status=DraftStatus.PUSHED, erp_order_id=number)

    assert codes(DraftOrder.objects.get(pk=draft.pk)) == [Code.ERP_NUMBER_PLACEHOLDER]


@pytest.mark.parametrize("number", ["SO-2026-000123", "1", "10", "4500000001", "A-0", "NA-17", "注文1"])
def test_a_number_is_no_placeholder(number):
    assert not is_placeholder(number)


def test_a_sent_order_keeps_only_what_concerns_the_erp_and_a_rejected_one_nothing(buyer):
    draft = order(buyer, {"unit_price": Decimal(0)}, requested_delivery_date=TODAY - timedelta(days=9))
    for status in (DraftStatus.PUSHED, DraftStatus.REJECTED):
        DraftOrder.objects.filter(pk=draft.pk).update(status=status)
        assert codes(DraftOrder.objects.get(pk=draft.pk)) == []


def test_a_renamed_customer_is_a_warning_on_what_was_approved_before(buyer):
    draft = order(buyer)
    DraftOrder.objects.filter(pk=draft.pk).update(
        status=DraftStatus.APPROVED, approved_customer_number="4711", approved_customer_name=buyer.name
    )
    assert codes(DraftOrder.objects.get(pk=draft.pk)) == []
    Customer.objects.filter(pk=buyer.pk).update(erp_customer_number="4799")

    (warning,) = warnings_of(DraftOrder.objects.get(pk=draft.pk))

    assert warning.code == Code.CUSTOMER_CHANGED
    assert ("4711" in warning.english(), "4799" in warning.english()) == (True, True)


def test_many_orders_take_as_many_statements_as_few(buyer):
    drafts = [order(buyer, number=f"PO-{n % 5}") for n in range(20)]
    DraftOrder.objects.filter(pk=drafts[0].pk).update(erp_order_id="SO-1")
    rows = list(DraftOrder.objects.all())

    with CaptureQueriesContext(
        connection,
    ) as few:
        warnings_by_order(rows[:2])
    with CaptureQueriesContext(connection) as many:
        assert all(warnings_by_order(rows).values())
    assert len(many) <= len(few) + 1 <= 7


def test_an_order_that_is_not_stored_yet_is_judged_by_its_own_lines(buyer):
    order(buyer)
    draft = DraftOrder(org=buyer.org, customer=buyer, external_order_number="PO-1", currency="EUR")
    line = DraftOrderLine(draft_order=draft, **{**LINE, "currency": "USD"})

    assert [w.code for w in warnings_of(draft, [line])] == [
        Code.ORDER_NUMBER_REPEATED,
        Code.LINE_CURRENCY_DIFFERS,
    ]


def test_every_code_has_a_text_in_both_languages_that_its_parameters_fill():
    params = {
        "count": 2, "status": "PUSHED", "order_ids": [], "approved": "A", "now": "B", "currency": "EUR",
        "lines": [1], "date": "2026-01-01", "order_date": "2026-01-02", "number": "0",
        "letters": "L", "keys": ["K"],
    }  # fmt: skip
    assert set(MESSAGES) == set(Code)
    for code in Code:
        repeated = {name: params[name] for name in ("count", "status", "order_ids")}
        warning = OrderWarning(code, repeated if code is Code.ORDER_NUMBER_REPEATED else params)
        with translation.override("de"):
            german = warning.text()
            assert warning.english() != german
        assert not {*"%?"} & {*german}


def test_a_warning_is_a_message_with_the_values_that_its_text_shows():
    lines = {"currency": "JPY", "lines": [1, 2], "count": 2}
    more = {**lines, "count": 20}

    assert OrderWarning(Code.PRICE_HAS_DECIMALS, lines).message() == Message(
        "order_warning.price_has_decimals", currency="JPY", lines="1, 2"
    )
    assert OrderWarning(Code.PRICE_HAS_DECIMALS, more).english() == (
        "JPY has no decimals, but the unit price has (lines: 1, 2 and more, 20 in all)."
    )
    with translation.override("de"):
        assert "1, 2 und weitere, insgesamt 20" in OrderWarning(Code.PRICE_HAS_DECIMALS, more).text()
