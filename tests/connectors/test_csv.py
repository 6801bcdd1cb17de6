"""Orders as CSV: read back with Python's csv module they equal the order, and what can't be written is refused."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.config_fields import ConfigError
from erp_connectors.connectors.base import AckName
from erp_connectors.connectors.dropzone_csv_v1 import DropzoneCsvV1
from erp_connectors.connectors.dropzone_csv_v1 import render as csv_render
from erp_connectors.connectors.dropzone_csv_v1.columns import UNITS
from erp_connectors.connectors.dropzone_csv_v1.values import LINE_FIELDS, ORDER_FIELDS
from erp_connectors.faults import RENDER_FAILED, Fault
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine, SourceDocument
from orderflow.messages import Message

CSV = DropzoneCsvV1()
ID = UUID("550e8400-e29b-41d4-a716-446655440000")
AT = datetime(2025, 12, 27, 10, tzinfo=UTC)
LINE = OrderLine(1, "INT-999", Decimal(10), "M", Decimal("1.23"), "EUR", "AB-123", "Kabel NYM-J 3x1,5")
ORDER = OrderDocument(
    draft_order_id=ID,
    org_slug="acme",
    approved_at=datetime(2025, 12, 26, 10, 0, tzinfo=UTC),
    approved_by="ops@acme.de",
    customer=OrderCustomer(uuid4(), "4711", "Muster GmbH"),
    external_order_number="PO-12345",
    order_date=date(2025, 12, 1),
    currency="EUR",
    requested_delivery_date=date(2025, 12, 10),
    notes="Urgent delivery",
    lines=(LINE,),
    source_document=SourceDocument(ID, "order.pdf", "abc123"),
)
ALL_COLUMNS = "\n".join(f"{name} = {name}" for name in (*ORDER_FIELDS, *LINE_FIELDS))
CODECS = {
    "utf-8": "utf-8", "utf-8-bom": "utf-8-sig", "windows-1252": "cp1252", "iso-8859-1": "latin-1",
    "iso-8859-15": "iso8859-15", "utf-16": "utf-16",
}  # fmt: skip
QUOTING: dict[str, Literal[0, 1, 2, 3]] = {
    "needed": csv.QUOTE_MINIMAL, "text": csv.QUOTE_MINIMAL, "always": csv.QUOTE_ALL, "never": csv.QUOTE_NONE,
}  # fmt: skip


def replaced(order: OrderDocument, **fields: object) -> OrderDocument:
    return msgspec.structs.replace(order, **fields)


def with_line(**fields: object) -> OrderDocument:
    return replaced(ORDER, lines=(msgspec.structs.replace(LINE, **fields),))


def rendered(order: OrderDocument = ORDER, **config: object) -> bytes:
    return CSV.render(order, CSV.parse(config))


def read_back(
    body: bytes, *, delimiter: str = ";", encoding: str = "utf-8", quoting: str = "needed"
) -> list[list[str]]:
    # strict: the module must not repair anything.
    text = io.StringIO(body.decode(CODECS[encoding]), newline="")
    return list(csv.reader(text, delimiter=delimiter, quoting=QUOTING[quoting], strict=True))


def problems(**config: object) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        CSV.parse(config)
    return {key: problem.code for key, problem in caught.value.problems.items()}


def refusal(order: OrderDocument, **config: object) -> tuple[str, dict[str, object]]:
    options = CSV.parse(config)
    with pytest.raises(Fault) as caught:
        CSV.render(order, options)
    assert caught.value.kind is RENDER_FAILED
    why = caught.value.detail
    assert isinstance(why, Message)
    return why.code, dict(why.params)


def test_the_example_of_the_page():
    page = (Path(__file__).parents[2] / "docs" / "csv.md").read_text(encoding="utf-8")
    config, file = re.search(r"```json\n(.*?)```.*?```text\n(.*?)```", page, re.DOTALL).groups()
    own = {field.name for field in CSV.fields()}
    order = replaced(
        ORDER,
        lines=(
            msgspec.structs.replace(LINE, description="Kabel NYM-J 3x1,5; blau"),
            OrderLine(2, "INT-1000", Decimal("2.5"), "ST", None, "EUR", None, 'Rohr 3/4"'),
        ),
    )

    body = rendered(order, **{key: value for key, value in json.loads(config).items() if key in own})

    assert body.decode("cp1252") == file.replace("\n", "\r\n")


def test_the_page_lists_every_field_and_option():
    page = (Path(__file__).parents[2] / "docs" / "csv.md").read_text(encoding="utf-8")
    names = [*ORDER_FIELDS, *LINE_FIELDS, *(field.name for field in CSV.fields()), *UNITS]

    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", page)] == []


def test_a_connection_works_without_any_option():
    header, row = read_back(rendered())
    cells = dict(zip(header, row, strict=True))

    assert cells["order_id"] == str(ID)
    assert (cells["quantity"], cells["unit_price"], cells["unit"]) == ("10.000", "1.2300", "M")
    assert CSV.parse({"columns": "  "}) == CSV.parse({})


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), include_characters=";,\"='|"), max_size=20
)
lines = st.builds(
    OrderLine,
    line_no=st.integers(1, 10**9),
    internal_sku=texts.filter(bool),
    qty=st.decimals(Decimal("0.001"), Decimal("999999999999999.999"), places=3),
    uom=st.sampled_from(UNITS),
    unit_price=st.none() | st.decimals(-(10**13), Decimal("99999999999999.9999"), places=4),
    currency=st.just("EUR"),
    customer_sku_raw=st.none() | texts.filter(bool),
    description=st.none() | texts.filter(bool),
)
notes = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
orders = st.builds(
    OrderDocument,
    draft_order_id=st.uuids(),
    org_slug=st.just("acme"),
    approved_at=st.just(ORDER.approved_at),
    approved_by=st.just("ops@acme.de"),
    customer=st.builds(OrderCustomer, st.uuids(), st.none() | texts.filter(bool), texts.filter(bool)),
    external_order_number=st.none() | texts.filter(bool),
    order_date=st.none() | st.dates(),
    currency=st.just("EUR"),
    requested_delivery_date=st.none() | st.dates(),
    notes=st.none() | notes.filter(bool),
    lines=st.lists(lines, min_size=1, max_size=3).map(tuple),
    source_document=st.none() | st.builds(SourceDocument, st.uuids(), texts.filter(bool), st.just("ab")),
)


@given(
    order=orders,
    delimiter=st.sampled_from(";,\t|~^#-."),
    quoting=st.sampled_from(["needed", "text", "always"]),
    encoding=st.sampled_from(["utf-8", "utf-8-bom", "utf-16"]),
    mark=st.sampled_from(".,"),
    ending=st.sampled_from(["crlf", "lf"]),
)
def test_any_order_reads_back_equal(order, delimiter, quoting, encoding, mark, ending):
    body = rendered(
        order,
        columns=ALL_COLUMNS,
        delimiter="tab" if delimiter == "\t" else delimiter,
        quoting=quoting,
        encoding=encoding,
        decimal_mark=mark,
        line_ending=ending,
    )

    header, *rows = read_back(body, delimiter=delimiter, encoding=encoding, quoting=quoting)

    assert header == [*ORDER_FIELDS, *LINE_FIELDS]
    assert len(rows) == len(order.lines)
    for cells, line in zip(rows, order.lines, strict=True):
        require_equal(dict(zip(header, cells, strict=True)), order, line, mark=mark)


def require_equal(cells: dict[str, str], order: OrderDocument, line: OrderLine, *, mark: str = ".") -> None:
    """Assert that the cells are the order's values, decimals exact."""

    def number(cell: str) -> Decimal:
        return Decimal(cell.replace(mark, "."))

    assert UUID(cells["order.draft_order_id"]) == order.draft_order_id
    assert UUID(cells["customer.id"]) == order.customer.id
    assert (cells["customer.erp_customer_number"] or None) == order.customer.erp_customer_number
    assert cells["customer.name"] == order.customer.name
    assert (cells["order.external_order_number"] or None) == order.external_order_number
    assert (cells["order.notes"] or None) == order.notes
    for name in ("order_date", "requested_delivery_date"):
        cell, expected = cells[f"order.{name}"], getattr(order, name)
        assert (date.fromisoformat(cell) if cell else None) == expected
    assert cells["order.currency"] == order.currency
    assert cells["order.approved_by"] == order.approved_by
    assert cells["order.org_slug"] == order.org_slug
    assert int(cells["order.lines"]) == len(order.lines)
    source = order.source_document
    assert cells["document.file_name"] == (source.file_name if source else "")
    assert int(cells["line.line_no"]) == line.line_no
    assert cells["line.internal_sku"] == line.internal_sku
    assert (cells["line.customer_sku_raw"] or None) == line.customer_sku_raw
    assert (cells["line.description"] or None) == line.description
    assert number(cells["line.qty"]) == line.qty
    assert (number(cells["line.unit_price"]) if cells["line.unit_price"] else None) == line.unit_price
    assert (cells["line.uom"], cells["line.currency"]) == (line.uom, line.currency)


@pytest.mark.parametrize("encoding", CODECS)
def test_each_encoding_and_quote_rule_reads_back_equal(encoding):
    order = replaced(
        with_line(description='Käse; 3/4" für 5 "Öfen"'), customer=OrderCustomer(ID, None, "Süß & Co")
    )
    for quoting, delimiter in product(("needed", "text", "always", "never"), ("tab", "|")):
        body = rendered(order, columns=ALL_COLUMNS, encoding=encoding, quoting=quoting, delimiter=delimiter)

        header, cells = read_back(
            body, delimiter="\t" if delimiter == "tab" else delimiter, encoding=encoding, quoting=quoting
        )

        require_equal(dict(zip(header, cells, strict=True)), order, order.lines[0])


def test_a_large_order_is_written_whole():
    count = 50_000
    order = replaced(
        ORDER,
        lines=tuple(
            msgspec.structs.replace(
                LINE, line_no=n, qty=Decimal("12345678901234.567"), description=f"Öse; {n}"
            )
            for n in range(1, count + 1)
        ),
    )

    rows = read_back(
        rendered(order, header_row=False, columns="a = line.line_no\nb = line.qty\nc = line.description")
    )

    assert rows == [[str(n), "12345678901234.567", f"Öse; {n}"] for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("style", "written"),
    [
        ("YYYY-MM-DD", "0987-06-05"), ("DD.MM.YYYY", "05.06.0987"), ("DD/MM/YYYY", "05/06/0987"),
        ("MM/DD/YYYY", "06/05/0987"), ("YYYYMMDD", "09870605"), ("DDMMYYYY", "05060987"),
    ],
)  # fmt: skip
def test_a_date_has_the_chosen_format(style, written):
    order = replaced(ORDER, order_date=date(987, 6, 5))

    body = rendered(
        order, columns="a = order.order_date\nb = order.approved_at", date_format=style, header_row=False
    )

    assert body == f"{written};2025-12-26T10:00:00Z\r\n".encode()


def test_texts_that_look_like_a_formula_are_not_changed():
    order = with_line(internal_sku="=1+1", description="@SUM(A1)", customer_sku_raw="-5")

    body = rendered(
        order,
        columns="a = line.internal_sku\nb = line.description\nc = line.customer_sku_raw",
        header_row=False,
    )

    assert body == b"=1+1;@SUM(A1);-5\r\n"


def test_a_row_of_one_empty_value_is_no_empty_row():
    order = with_line(customer_sku_raw=None)

    assert rendered(order, columns="a = line.customer_sku_raw", header_row=False) == b'""\r\n'
    code, _ = refusal(order, columns="a = line.customer_sku_raw", header_row=False, quoting="never")
    assert code == "csv.empty_row"


def test_a_character_that_the_encoding_lacks_is_named_with_its_column_and_line():
    order = replaced(
        ORDER, lines=(LINE, msgspec.structs.replace(LINE, line_no=7, description="Käse \U0001f9c0"))
    )

    code, params = refusal(order, encoding="windows-1252")

    assert code == "csv.not_in_encoding"
    assert (params["line"], params["column"], params["field"]) == (7, "description", "line.description")
    assert (params["character"], params["encoding"]) == ("\U0001f9c0 (U+1F9C0)", "windows-1252")


@pytest.mark.parametrize(
    ("order", "column", "field"),
    [
        (with_line(line_no=3, description="a;b"), "description", "line.description"),
        (with_line(line_no=3, customer_sku_raw="a\nb"), "customer_article", "line.customer_sku_raw"),
        (replaced(with_line(line_no=3), notes="a\r\nb"), "notes", "order.notes"),
    ],
)
def test_a_delimiter_that_cannot_be_quoted_is_named_with_its_column_and_line(order, column, field):
    code, params = refusal(order, quoting="never")

    assert code == "csv.not_quotable"
    assert (params["line"], params["column"], params["field"]) == (3, column, field)


def test_a_file_that_would_be_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(csv_render, "MAX_BYTES", 100)

    assert refusal(ORDER) == ("csv.too_large", {"most": "100"})


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("1.00005")])
def test_a_price_is_never_rounded(value):
    code, params = refusal(with_line(unit_price=value))

    assert code in ("render.not_a_number", "render.too_many_decimals")
    assert (params["line"], params["field"]) == (1, "unit_price")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"columns": "a = line.qty\n\nb = line.price"}, {"columns": "csv.unknown_field"}),
        ({"columns": "a"}, {"columns": "csv.not_a_column_line"}),
        ({"columns": "= line.qty"}, {"columns": "csv.not_a_column_line"}),
        ({"columns": 'a = "x'}, {"columns": "csv.not_a_column_line"}),
        ({"columns": "a = line.qty\na = line.uom"}, {"columns": "csv.heading_twice"}),
        ({"columns": "\n".join(f"{n} = line.qty" for n in range(201))}, {"columns": "csv.too_many_columns"}),
        ({"columns": "ż = line.qty", "encoding": "windows-1252"}, {"columns": "csv.fixed_not_in_encoding"}),
        ({"columns": 'a = "ż"', "encoding": "iso-8859-1"}, {"columns": "csv.fixed_not_in_encoding"}),
        ({"columns": "a;b = line.qty", "quoting": "never"}, {"columns": "csv.fixed_not_quotable"}),
        ({"unit_map": "ST"}, {"unit_map": "csv.not_a_unit_line"}),
        ({"unit_map": "XX = PCE"}, {"unit_map": "csv.unknown_unit"}),
        ({"unit_map": "ST = PCE\nST = C62"}, {"unit_map": "csv.unit_twice"}),
        ({"delimiter": "ab"}, {"delimiter": "csv.not_a_delimiter"}),
        ({"delimiter": '"'}, {"delimiter": "csv.not_a_delimiter"}),
        ({"delimiter": "a"}, {"delimiter": "csv.not_a_delimiter"}),
        ({"delimiter": "\n"}, {"delimiter": "csv.not_a_delimiter"}),
        ({"delimiter": "\t"}, {"delimiter": "csv.not_a_delimiter"}),
        ({"columns": "a\0 = line.qty"}, {"columns": "csv.control_character"}),
        ({"columns": f"{'x' * 201} = line.qty"}, {"columns": "csv.not_a_column_line"}),
        ({"columns": f"a{' ' * 19_950}x = line.qty"}, {"columns": "csv.not_a_column_line"}),
        ({"delimiter": ",", "decimal_mark": ",", "quoting": "never"}, {"delimiter": "csv.delimiter_in_values"}),
        ({"delimiter": "-", "quoting": "never"}, {"delimiter": "csv.delimiter_in_values"}),
        (
            {"delimiter": "/", "date_format": "DD/MM/YYYY", "quoting": "never"},
            {"delimiter": "csv.delimiter_in_values"},
        ),
        ({"unit_map": "ST = a;b", "quoting": "never"}, {"unit_map": "csv.fixed_not_quotable"}),
        ({"unit_map": "ST = \u017c", "encoding": "windows-1252"}, {"unit_map": "csv.fixed_not_in_encoding"}),
        *[({"file_ending": one}, {"file_ending": "csv.not_an_ending"}) for one in ("ok", "err", "bak", "tmp", "json")],
        ({"encoding": "ebcdic", "quoting": 3}, {"encoding": "config.not_a_choice", "quoting": "config.not_a_choice"}),
        ({"file_ending": "tmp"}, {"file_ending": "csv.not_an_ending"}),
        ({"file_ending": "CSV"}, {"file_ending": "csv.not_an_ending"}),
        ({"file_ending": "a/b"}, {"file_ending": "csv.not_an_ending"}),
        ({"header_row": "yes", "columns": 3}, {"header_row": "config.not_boolean", "columns": "config.not_a_text"}),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(config, expected):
    assert problems(**config) == expected


def test_a_problem_of_the_columns_names_its_line():
    with pytest.raises(ConfigError) as caught:
        CSV.parse({"columns": "a = line.qty\r\n\r\nb = line.price"})

    assert caught.value.problems["columns"].params["line"] == 3


def test_a_heading_and_a_constant_may_contain_an_equals_sign_and_quotes():
    body = rendered(columns='A = B = line.qty\nC = "x = ""y"""')

    assert read_back(body) == [["A = B", "C"], ["10.000", 'x = "y"']]


NAME = "sales_order_550e8400_20251227_100000_abc12345"


def test_new_files_have_the_chosen_ending():
    options = CSV.parse({"file_ending": "dat"})

    assert CSV.filename(ID, at=AT, token="abc12345", options=options) == f"{NAME}.dat"
    assert CSV.filename(ID, at=AT, token="abc12345", options=None) == f"{NAME}.csv"
    assert CSV.names_export(f"{NAME}.dat")
    assert not CSV.names_export(f"{NAME}.json")


@pytest.mark.parametrize(
    ("name", "export"),
    [
        (f"ack_{NAME}.dat", f"{NAME}.dat"),
        (f"ERROR_{NAME}.DAT", f"{NAME}.dat"),
        (f"ack_{NAME}.dat.json", f"{NAME}.dat"),
        (f"ack_{NAME}.dat.dat", f"{NAME}.dat"),
        # Of files that were sent before the ending was changed, and of those of an earlier JSON connection.
        (f"ack_{NAME}.csv", f"{NAME}.csv"),
        (f"ack_{NAME}.csv.json", f"{NAME}.csv"),
        (f"ack_{NAME}.imp", f"{NAME}.imp"),
        (f"ack_{NAME}.imp.json", f"{NAME}.imp"),
        (f"ack_{NAME}.json", f"{NAME}.json"),
        ("ack_4711.json", "4711.json"),
        (f"ack_{NAME}", None),
        (f"ack_{NAME}.tmp", None),
        (f"ack_{NAME}.dat.tmp", None),
        (f"ack_{NAME}.dat.filepart", None),
        (f"ack_{NAME}.done", None),
        (f"{NAME}.dat", None),
    ],
)  # fmt: skip
def test_the_name_of_an_answer_names_its_export(name, export):
    options = CSV.parse({"file_ending": "dat"})

    assert CSV.acknowledges(name, options) == (AckName(export) if export else None)


def test_a_misnamed_answer_has_an_expected_name():
    meant = CSV.misnamed_answer(f"ack-{NAME}.dat.txt", CSV.parse({"file_ending": "dat"}))

    assert meant is not None
    assert (meant.filename, meant.expected_name) == (f"{NAME}.dat", f"ack_{NAME}.dat")


@pytest.mark.parametrize("encoding", CODECS)
def test_a_file_is_traced_to_its_order(encoding):
    ids = "a = customer.id\nb = order.draft_order_id"
    body = rendered(columns=ids, encoding=encoding)
    without = rendered(columns="a = customer.id", encoding=encoding)

    assert CSV.identify(f"{NAME}.csv", body) == ID
    assert CSV.identify(f"{NAME}.csv", without) is None
    assert CSV.identify("other.csv", body) is None
    assert CSV.order_id_prefix(f"{NAME}.csv") == "550e8400"
