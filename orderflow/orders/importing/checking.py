"""Check the orders of a file: return an order, or all its problems, each with its location and the correction."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orderflow.input_rules.keys import described, look_alikes
from orderflow.orders.importing import values
from orderflow.orders.importing.documents import LineIn, Names, OrderIn, Problem, RawOrder, Remark
from orderflow.orders.importing.values import Conventions, Convert, Refused


class Checker:
    """Check the orders of one file, whose numbers and dates all follow the same conventions."""

    def __init__(self, conventions: Conventions) -> None:
        day = values.day(conventions)
        self._header: dict[str, Convert] = {
            "external_order_number": values.required_key(100),
            "order_date": day,
            "currency": values.currency,
            "requested_delivery_date": day,
            "notes": values.lines(100_000),
        }
        self._customer: dict[str, Convert] = {
            "erp_customer_number": values.required_key(50),
            "name": values.text(200),
        }
        self._line: dict[str, Convert] = {
            "line_no": values.line_no,
            "internal_sku": values.key(100),
            "customer_sku_raw": values.key(200),
            "product_description": values.text(500),
            "qty": values.quantity(conventions),
            "uom": values.uom,
            "unit_price": values.price(conventions),
            "currency": values.currency,
        }

    def check(self, raw: RawOrder) -> OrderIn | list[Problem]:
        problems: list[Problem] = []
        at = _Location(raw.line, "", raw.names.of_order)
        customer, lines = raw.fields.get("customer"), raw.fields.get("lines", [])
        rest = {name: value for name, value in raw.fields.items() if name not in ("customer", "lines")}
        header = _converted(rest, self._header, at, problems)
        if not isinstance(customer, Mapping):
            what = "is missing; write an object with erp_customer_number"
            problems.append(Problem(raw.line, "customer", what))
            customer = {"erp_customer_number": "-"}
        in_table = raw.names != Names()
        customer_at = at if in_table else at._replace(prefix="customer.")
        who = _converted(customer, self._customer, customer_at, problems)
        checked = self._lines(raw, lines, problems)
        if problems:
            return problems
        return OrderIn(
            **header,
            customer_number=who["erp_customer_number"],
            customer_name=who["name"],
            lines=tuple(checked),
        )

    def _lines(self, raw: RawOrder, lines: Any, problems: list[Problem]) -> list[LineIn]:
        if not isinstance(lines, list):
            problems.append(Problem(raw.line, "lines", "must be a list of order lines"))
            return []
        checked: list[LineIn] = []
        numbers: set[int] = set()
        for position, line in enumerate(lines):
            at = _location_of_line(raw, position)
            if not isinstance(line, Mapping):
                problems.append(Problem(at.line, at.prefix.rstrip("."), "must be an object"))
                continue
            before = len(problems)
            fields = _converted(line, self._line, at, problems)
            if len(problems) > before:
                continue
            fields["line_no"] = fields["line_no"] or position + 1
            if fields["line_no"] in numbers:
                what = (
                    f"{fields['line_no']} is used twice; give each line of an order its own number, or none"
                )
                problems.append(Problem(at.line, at.called("line_no"), what))
            numbers.add(fields["line_no"])
            checked.append(LineIn(**fields))
        return checked


class _Location(NamedTuple):
    """Location of fields: the line of the file, a prefix of their names, and a table's headings by field."""

    line: int
    prefix: str = ""
    headings: Mapping[str, str] = {}

    def called(self, name: str) -> str:
        return self.headings.get(name, f"{self.prefix}{name}")


def remarks(raw: RawOrder, order: OrderIn) -> list[Remark]:
    """Return remarks about the customer's number. `order_warnings` covers the order itself."""
    letters = look_alikes(order.customer_number)
    if not letters:
        return []
    name = raw.names.of_order.get("erp_customer_number", "customer.erp_customer_number")
    what = f"letters of another script look like Latin ones: {described(letters)}; check that they are meant"
    return [Remark(raw.line, name, f"{order.customer_number}: {what}")]


def _location_of_line(raw: RawOrder, position: int) -> _Location:
    if raw.at:
        return _Location(raw.at[position], "", raw.names.of_line)
    return _Location(raw.line, f"lines[{position}].")


def _converted(
    given: Mapping[str, Any], known: Mapping[str, Convert], at: _Location, problems: list[Problem]
) -> dict[str, Any]:
    for name in given:
        if name not in known:
            # Otherwise a misspelt field would silently be missing from the order.
            what = f"is no field of an order; known fields: {', '.join(known)}"
            shown = name[:60] if name.isprintable() else ascii(name[:60])
            problems.append(Problem(at.line, f"{at.prefix}{shown}", what))
    converted = {}
    for name, convert in known.items():
        try:
            converted[name] = convert(given.get(name))
        except Refused as refused:
            problems.append(Problem(at.line, at.called(name), str(refused)))
    return converted
