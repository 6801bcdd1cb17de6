"""Is what was found an order? Every problem of it at once, each with its place and what to write instead."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from orderflow.orders.importing import values
from orderflow.orders.importing.documents import Found, LineIn, OrderIn, Problem
from orderflow.orders.importing.values import Refused

Convert = Callable[[Any], Any]
HEADER: dict[str, Convert] = {
    "external_order_number": values.required_text(100),
    "order_date": values.day,
    "currency": values.currency,
    "requested_delivery_date": values.day,
    "notes": values.text(100_000, lines=True),
}
CUSTOMER: dict[str, Convert] = {
    "erp_customer_number": values.required_text(50),
    "name": values.text(200),
}
LINE: dict[str, Convert] = {
    "line_no": values.line_no,
    "internal_sku": values.text(100),
    "customer_sku_raw": values.text(200),
    "product_description": values.text(500, lines=True),
    "qty": values.quantity,
    "uom": values.uom,
    "unit_price": values.price,
    "currency": values.currency,
}


class _Place(NamedTuple):
    """Where fields are: a line of the file, and what stands before their names."""

    line: int
    prefix: str = ""


def check(found: Found) -> OrderIn | list[Problem]:
    problems: list[Problem] = []
    at = _Place(found.line)
    customer, lines = found.fields.get("customer"), found.fields.get("lines", [])
    rest = {name: value for name, value in found.fields.items() if name not in ("customer", "lines")}
    header = _converted(rest, HEADER, at, problems)
    if not isinstance(customer, Mapping):
        what = "is missing; write an object with erp_customer_number"
        problems.append(Problem(found.line, "customer", what))
        customer = {"erp_customer_number": "-"}
    who = _converted(customer, CUSTOMER, at._replace(prefix="" if found.at else "customer."), problems)
    checked = _lines(found, lines, problems)
    if problems:
        return problems
    return OrderIn(
        **header,
        customer_number=who["erp_customer_number"],
        customer_name=who["name"],
        lines=tuple(checked),
    )


def _lines(found: Found, lines: Any, problems: list[Problem]) -> list[LineIn]:
    if not isinstance(lines, list):
        problems.append(Problem(found.line, "lines", "must be a list of order lines"))
        return []
    checked: list[LineIn] = []
    numbers: set[int] = set()
    for position, line in enumerate(lines):
        at = _Place(found.at[position]) if found.at else _Place(found.line, f"lines[{position}].")
        if not isinstance(line, Mapping):
            problems.append(Problem(at.line, at.prefix.rstrip("."), "must be an object"))
            continue
        before = len(problems)
        fields = _converted(line, LINE, at, problems)
        if len(problems) > before:
            continue
        fields["line_no"] = fields["line_no"] or position + 1
        if fields["line_no"] in numbers:
            what = (
                f"{fields['line_no']} is there twice; number the lines of an order differently, or not at all"
            )
            problems.append(Problem(at.line, f"{at.prefix}line_no", what))
        numbers.add(fields["line_no"])
        checked.append(LineIn(**fields))
    return checked


def _converted(
    given: Mapping[str, Any], known: Mapping[str, Convert], at: _Place, problems: list[Problem]
) -> dict[str, Any]:
    for name in given:
        if name not in known:
            # A misspelt field would otherwise be an order that lacks something.
            what = f"is no field of an order; known here: {', '.join(known)}"
            problems.append(Problem(at.line, f"{at.prefix}{name[:60]}", what))
    converted = {}
    for name, convert in known.items():
        try:
            converted[name] = convert(given.get(name))
        except Refused as refused:
            problems.append(Problem(at.line, f"{at.prefix}{name}", str(refused)))
    return converted
