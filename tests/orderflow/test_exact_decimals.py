"""Quantities and prices come back as they went in, on both databases."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from orderflow.orders.models import DraftOrderLine
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def line():
    return factories.draft(factories.org(), lines=1).lines.get()


@pytest.mark.parametrize(
    "price",
    [
        "12345678901234.5678",
        "99999999999999.9999",
        "-99999999999999.9999",
        "0.0001",
        "0.1000",
        "1000000",
        "0",
    ],
)
@pytest.mark.every_database
def test_every_digit_comes_back(line, price):
    line.unit_price = Decimal(price)
    line.save()

    line.refresh_from_db()
    assert line.unit_price == Decimal(price)
    assert line.unit_price.as_tuple().exponent == -4


def test_null_stays_null_and_differs_from_zero(line):
    line.unit_price = None
    line.save()

    line.refresh_from_db()
    assert line.unit_price is None
    assert DraftOrderLine.objects.filter(unit_price__isnull=True).count() == 1


@pytest.mark.parametrize(
    "price", ["NaN", "Infinity", "-Infinity", "sNaN", "100000000000000", "1.00001", "1e30", "1,5", "", "abc"]
)
@pytest.mark.every_database
def test_what_does_not_fit_is_refused_and_not_rounded(line, price):
    line.unit_price = price

    with pytest.raises(ValidationError), transaction.atomic():
        line.save()

    line.refresh_from_db()
    assert line.unit_price == Decimal("1.2345")


@pytest.mark.parametrize(
    ("written", "kept"), [("1E+3", "1000.000"), (5, "5.000"), (0.1, "0.100"), ("2.50", "2.500")]
)
def test_other_spellings_of_a_number_are_kept_plain(line, written, kept):
    line.qty = written
    line.save()

    line.refresh_from_db()
    assert str(line.qty) == kept


def test_equal_values_are_found_however_written(line):
    line.qty = Decimal("2.5")
    line.save()

    assert DraftOrderLine.objects.filter(qty="2.500").get() == line
    assert DraftOrderLine.objects.filter(qty__in=[Decimal("2.50"), Decimal(7)]).get() == line


def test_bulk_writes_are_as_exact(line):
    price = Decimal("12345678901234.5678")
    line.unit_price = price
    DraftOrderLine.objects.bulk_update([line], ["unit_price"])
    line.refresh_from_db()
    assert line.unit_price == price

    DraftOrderLine.objects.filter(pk=line.pk).update(unit_price=price - 1)
    line.refresh_from_db()
    assert line.unit_price == price - 1


def test_one_line_number_once_in_an_order(line):
    with pytest.raises(IntegrityError), transaction.atomic():
        DraftOrderLine.objects.create(draft_order=line.draft_order, line_no=line.line_no)
