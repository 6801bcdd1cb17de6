"""Delimited files as spreadsheets and programs write them: understood, or refused with what to say."""

from decimal import Decimal

import pytest

from orderflow.orders.importing import amounts, dates
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from tests import factories
from tests.orders.importing import HEADER, csv_file, run

ROW = "PO-1,4711,2026-11-02,EUR,INT-1,10.5,M,1.25"
READY = "1 orders imported into ACME\n       1 READY for approval\n"


@pytest.fixture
def org(db):
    made = factories.org(slug="acme", name="ACME")
    factories.customer(made)
    return made


def of(delimiter):
    return [line.replace(",", delimiter) for line in (HEADER, ROW)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_each_delimiter_in_each_encoding_that_can_be_told(org, tmp_path, delimiter, encoding):
    header, row = of(delimiter)
    name = "orders.txt" if delimiter == "\t" else "orders.csv"  # as a spreadsheet's "Unicode text"

    assert run(csv_file(tmp_path, row.replace("INT-1", "K\u00e4se"), header=header, encoding=encoding, name=name)) == (
        0, READY, "",
    )  # fmt: skip
    assert DraftOrderLine.objects.get().internal_sku == "K\u00e4se"


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", ";;;;\r\nsep=;"])
def test_the_line_by_which_a_spreadsheet_names_its_delimiter(org, tmp_path, first):
    header, row = of(";")

    assert run(csv_file(tmp_path, header, row, header=first)) == (0, READY, "")


def test_capital_headings_with_blanks(org, tmp_path):
    header = HEADER.replace("_", " ").title().replace("Erp Customer Number", "ERP-Customer-Number ")

    assert run(csv_file(tmp_path, ROW, header=header)) == (0, READY, "")


def test_empty_columns_at_the_end_and_empty_rows(org, tmp_path):
    path = csv_file(tmp_path, f"{ROW},,,", ",,,,,,,,,,", " ,", header=f"{HEADER},,,")

    assert run(path) == (0, READY, "")


def test_a_value_beside_the_last_column_is_refused(org, tmp_path):
    code, _, problem = run(csv_file(tmp_path, f"{ROW},,lost"))

    assert code == 1
    assert "line 2, the whole line: has 10 cells where the header has 8" in problem


@pytest.mark.parametrize(
    "total", [",,,,,31.5,,2.5", "Total,,,,,31.5,,", ",Summe:,,,,31.5,,", "TOTAL,,,,,,,", ",,,,,,,99"]
)
def test_a_total_in_the_last_row_is_left_out_and_told(org, tmp_path, total):
    code, said, problem = run(csv_file(tmp_path, ROW, ROW.replace("INT-1", "INT-2"), total, ",,,"))

    assert (code, problem) == (0, "")
    assert "Line 4 is a total and was left out." in said
    assert DraftOrderLine.objects.count() == 2


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([ROW, ",,,,,31.5,,2.5", ROW.replace("PO-1", "PO-2")], 3),  # not the last
        ([ROW, ",,,,INT-2,31.5,M,2.5"], 3),  # names a product
        ([ROW, ",4711,,,,31.5,,"], 3),  # names a customer
    ],
)
def test_a_row_without_an_order_number_that_is_no_total_is_refused_with_its_neighbours(
    org, tmp_path, rows, line
):
    code, _, problem = run(csv_file(tmp_path, *rows))

    assert code == 1
    assert f"line {line}, external_order_number: is empty" in problem
    assert not DraftOrder.objects.exists()


def test_a_customer_in_the_first_row_of_an_order_only(org, tmp_path):
    factories.customer(org, erp_customer_number="4712")
    rows = [ROW, ROW.replace("4711", "").replace("INT-1", "INT-2"), ROW.replace("PO-1,4711", "PO-1,4712")]

    assert run(csv_file(tmp_path, *rows))[0] == 0
    assert sorted(DraftOrder.objects.values_list("customer__erp_customer_number", "lines__internal_sku")) == [
        ("4711", "INT-1"), ("4711", "INT-2"), ("4712", "INT-1"),
    ]  # fmt: skip


def test_an_order_without_a_customer_is_refused(org, tmp_path):
    code, _, problem = run(csv_file(tmp_path, ROW, ROW.replace("PO-1,4711", "PO-2,")))

    assert code == 1
    assert (
        "line 3, erp_customer_number: is empty; write it in the first row of the order, or in each" in problem
    )


@pytest.mark.parametrize(
    "content", [HEADER, f"{HEADER}\n\n,,,\n", "", "\n\n", "\ufeff", f"sep=,\n{HEADER}\n"]
)
def test_a_file_without_an_order_is_an_error(org, tmp_path, content):
    path = tmp_path / "orders.csv"
    path.write_text(content)

    code, said, problem = run(path)

    assert (code, said) == (2, "")
    assert "orders.csv holds no orders: there is nothing below its header." in problem


def test_a_file_of_json_without_an_order_is_an_error(org, tmp_path):
    path = tmp_path / "orders.jsonl"
    path.write_text("\n\n")

    assert run(path)[0] == 2


# Numbers


@pytest.mark.parametrize(
    ("numbers", "qty", "price"),
    [
        (("10,5", "1,25"), "10.5", "1.25"),
        (("10.5", "1.25"), "10.5", "1.25"),
        (("1000", "1,2345"), "1000", "1.2345"),
        (("0.125", "7"), "0.125", "7"),
        (("1.5", "1.234"), "1.5", "1.234"),
    ],
)
def test_in_a_file_with_semicolons_the_numbers_show_the_decimal_sign(org, tmp_path, numbers, qty, price):
    header, row = of(";")
    row = row.replace("10.5", numbers[0]).replace("1.25", numbers[1])

    assert run(csv_file(tmp_path, row, header=header))[0] == 0
    line = DraftOrderLine.objects.get()
    assert (line.qty, line.unit_price) == (Decimal(qty), Decimal(price))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_number_that_can_be_two_is_refused_with_both_and_how_to_say_which(org, tmp_path, delimiter):
    header, row = of(delimiter)
    path = csv_file(tmp_path, row.replace("10.5", "1.234").replace("1.25", ""), header=header)

    code, _, problem = run(path)

    assert code == 1
    assert "line 2, qty: '1.234' can mean 1.234 or 1234; say which with --decimal point (1.234)" in problem
    assert "or --decimal comma (1234)" in problem
    assert not DraftOrder.objects.exists()
    for sign, qty in (("point", "1.234"), ("comma", "1234")):
        DraftOrder.objects.all().delete()
        assert run(path, "--decimal", sign)[0] == 0
        assert DraftOrderLine.objects.get().qty == Decimal(qty)


def test_a_comma_that_is_shown_by_another_number_does_not_decide_about_one_thousand(org, tmp_path):
    header, row = of(";")
    rows = [row.replace("10.5", "1.234").replace("1.25", "1,25")]

    code, _, problem = run(csv_file(tmp_path, *rows, header=header))

    assert code == 1
    assert "'1.234' can mean 1.234 or 1234" in problem


def test_numbers_with_a_point_and_numbers_with_a_comma_are_refused(org, tmp_path):
    header, row = of(";")

    code, _, problem = run(csv_file(tmp_path, row.replace("10.5", "10,5"), header=header))

    assert code == 1
    assert "the file has numbers with a point and with a comma; say which it is with --decimal" in problem


def test_with_commas_between_the_cells_a_comma_within_is_refused_with_what_to_say(org, tmp_path):
    path = csv_file(tmp_path, ROW.replace("10.5", '"10,5"').replace("1.25", '"1,25"'))

    code, _, problem = run(path)

    assert code == 1
    assert "'10,5' is not a number; write it like 1234.5, with a point, or say --decimal comma" in problem
    assert run(path, "--decimal", "comma")[0] == 0
    assert DraftOrderLine.objects.get().qty == Decimal("10.5")


@pytest.mark.parametrize(
    ("text", "sign", "number"),
    [
        ("1.234,5", "comma", "1234.5"), ("1234,5", "comma", "1234.5"), ("1.234.567", "comma", "1234567"),
        ("1 234,5", "comma", "1234.5"), ("1\u00a0234,5", "comma", "1234.5"), ("-1.234,50", "comma", "-1234.50"),
        ("1,234.5", "point", "1234.5"), ("1'234.50", "point", "1234.50"), ("1,234,567", "point", "1234567"),
        (",5", "comma", "0.5"), (".5", "point", "0.5"), ("5,", "comma", "5"), ("007", "point", "7"),
    ],
)  # fmt: skip
def test_a_stated_sign_reads_groups_of_digits(text, sign, number):
    assert amounts.parse(text, sign, stated=True) == Decimal(number)


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("1.234,5", "point"), ("1,234.5", "comma"), ("1.23,4", "comma"), ("1,2,3", "comma"), ("12.34", "comma"),
        ("1_000", "point"), ("\u0663", "point"), ("1.234.5", "point"), ("", "point"), ("x", "comma"), ("1e", "point"),
        ("1 2", "comma"), ("1,,2", "comma"), ("NaN", "point"), ("Infinity", "point"), ("--1", "point"),
        ("5 \u20ac", "comma"),
    ],
)  # fmt: skip
def test_what_is_no_number_of_that_sign_is_refused(text, sign):
    with pytest.raises(amounts.NotANumber):
        amounts.parse(text, sign, stated=True)


# Dates


@pytest.mark.parametrize(
    ("written", "format_", "suggested"),
    [
        ("02.11.2026", "DD.MM.YYYY", "--date-format DD.MM.YYYY"),
        ("2.11.26", "DD.MM.YY", "--date-format DD.MM.YY"),
        ("11/13/2026", "MM/DD/YYYY", "--date-format MM/DD/YYYY"),
        ("13/11/2026", "DD/MM/YYYY", "--date-format DD/MM/YYYY"),
        ("03/04/2026", "DD/MM/YYYY", "--date-format DD/MM/YYYY or --date-format MM/DD/YYYY"),
        ("2026/11/02", "YYYY/MM/DD", "--date-format YYYY/MM/DD"),
        ("20261102", "YYYYMMDD", "--date-format YYYYMMDD"),
        ("02.11.2026", "%d.%m.%Y", "--date-format DD.MM.YYYY"),
    ],
)
def test_a_date_is_refused_with_the_option_that_reads_it(org, tmp_path, written, format_, suggested):
    path = csv_file(tmp_path, ROW.replace("2026-11-02", written))

    code, _, problem = run(path)

    assert code == 1
    assert f"line 2, order_date: '{written}' is not a date; write it like 2026-11-02" in problem
    assert problem.strip().endswith(suggested)
    assert run(path, "--date-format", format_)[0] == 0


def test_a_time_behind_a_date_is_left_out(org, tmp_path):
    for n, time in enumerate(
        ["T10:00:00Z", " 00:00:00", " 10:12:33 +0100", "T10:00:00.123+01:00", " 9:05 AM", " 10:00 UTC"]
    ):
        path = csv_file(tmp_path, ROW.replace("PO-1", f"PO-{n}").replace("2026-11-02", f"2026-11-02{time}"))
        assert run(path) == (0, READY, ""), time
    assert {str(draft.order_date) for draft in DraftOrder.objects.all()} == {"2026-11-02"}


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-11-02x", "2026-11-02 noon", "26-11-02", "\u0662026-11-02", "45963"]
)
def test_what_is_no_date_is_refused(org, tmp_path, text):
    assert run(csv_file(tmp_path, ROW.replace("2026-11-02", text)))[0] == 1


@pytest.mark.parametrize("name", ["DD.MM", "day", "YYYY-MM-DD-DD", ""])
def test_what_is_no_format_is_refused(name):
    with pytest.raises(dates.BadFormat, match="write it with YYYY"):
        dates.date_format(name)


# Encodings


def test_bytes_that_are_not_utf_8_are_refused_with_what_to_say(org, tmp_path):
    path = csv_file(tmp_path, ROW.replace("INT-1", "K\u00e4se"), encoding="cp1252")

    code, _, problem = run(path)

    assert code == 1
    assert (
        "line 2, internal_sku: contains bytes that are not UTF-8; save the file as UTF-8, or say its encoding"
        in problem
    )
    assert run(path, "--encoding", "windows-1252")[0] == 0
    assert DraftOrderLine.objects.get().internal_sku == "K\u00e4se"


@pytest.mark.parametrize("encoding", ["cp850", "iso-8859-15", "mac-roman", "shift_jis", "utf-8", "utf-16"])
def test_a_stated_encoding_is_used(org, tmp_path, encoding):
    word = "\u6ce8\u6587" if encoding == "shift_jis" else "K\u00e4se"
    path = csv_file(tmp_path, ROW.replace("INT-1", word), encoding=encoding)

    assert run(path, "--encoding", encoding)[0] == 0
    assert DraftOrderLine.objects.get().internal_sku == word


@pytest.mark.parametrize("encoding", ["utf8-with-mistake", "base64", "rot13", "\0"])
def test_an_encoding_that_there_is_not_is_refused_with_those_that_are_usual(org, tmp_path, encoding):
    code, _, problem = run(csv_file(tmp_path, ROW), "--encoding", encoding)

    assert code == 2
    assert "usual ones are utf-8, utf-16, windows-1252" in problem


def test_half_a_utf_16_file_is_refused(org, tmp_path):
    path = csv_file(tmp_path, ROW, ROW.replace("PO-1", "PO-2"), encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-1])

    code, _, problem = run(path)

    assert code == 1
    assert "is not UTF-16" in problem


def test_a_heading_that_is_not_utf_8_is_refused_with_what_to_say(org, tmp_path):
    path = csv_file(tmp_path, f"{ROW};x", header=f"{HEADER};Stra\u00dfe".replace(",", ";"), encoding="cp1252")

    code, _, problem = run(path)

    assert code == 1
    assert "line 1, the header: column 9 contains bytes that are not UTF-8" in problem
    assert "--encoding windows-1252" in problem


def test_a_heading_with_a_control_character_is_refused_and_not_printed(org, tmp_path):
    _, _, problem = run(csv_file(tmp_path, ROW, header=f"{HEADER},\x1b[2Jx"))

    assert (
        "line 1, the header: column 9 contains the character U+001B, which is not allowed; remove it"
        in problem
    )
    assert "\x1b" not in problem


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("o.jsonl", ("--decimal", "comma")),
        ("o.jsonl", ("--columns", "shopify")),
        ("o.jsonl", ("--date-format", "DD.MM.YYYY")),
        ("o.jsonl", ("--sheet", "x")),
        ("o.csv", ("--sheet", "x")),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(org, tmp_path, name, arguments):
    code, _, problem = run(csv_file(tmp_path, ROW, name=name), *arguments)

    assert (code, f"{arguments[0]} does not apply to a file of the format" in problem) == (2, True)


# What was understood


def test_a_dry_run_prints_what_was_understood(org, tmp_path):
    row = "PO-1;4711;02.11.2026;EUR;INT-1;10,5;M;1,25"
    path = csv_file(tmp_path, row, header=HEADER.replace(",", ";"), encoding="cp1252")

    code, said, _ = run(path, "--dry-run", "--encoding", "cp1252", "--date-format", "DD.MM.YYYY")

    assert code == 0
    assert [line.strip() for line in said.splitlines()[:7]] == [
        "format: text with a semicolon between the cells",
        "encoding: Windows-1252, as --encoding says",
        "decimal sign: comma, by 10,5 in line 2",
        "dates: DD.MM.YYYY",
        f"columns: {HEADER.replace(',', ', ')}",
        "orders: 1",
        "first order: PO-1 of customer 4711, 2026-11-02, EUR, 1 lines; the first: INT-1, 10.5 M at 1.25",
    ]
    assert not DraftOrder.objects.exists()


def test_a_dry_run_of_json_prints_what_was_understood(org, tmp_path):
    path = tmp_path / "o.jsonl"
    path.write_text(
        '{"external_order_number": "PO-1", "customer": {"erp_customer_number": "4711"}, "lines": []}'
    )

    said = run(path, "--dry-run")[1]

    assert "format: JSON, one order a line" in said
    assert "first order: PO-1 of customer 4711, no date, no currency, 0 lines" in said


# Keys


SAME = ["PO-1\u200b", "PO\u00ad-1", "\u200ePO-1", "\ufeffPO-1", "PO\u20111", " PO-1\u00a0"]


@pytest.mark.parametrize("number", SAME, ids=ascii)
def test_an_order_whose_number_only_looks_the_same_is_there_already(org, tmp_path, number):
    run(csv_file(tmp_path, ROW))

    code, said, _ = run(csv_file(tmp_path, ROW.replace("PO-1", number)))

    assert (code, DraftOrder.objects.count()) == (0, 1)
    assert "1 already in OrderFlow" in said


def test_rows_of_an_order_whose_keys_only_look_the_same_are_one_order(org, tmp_path):
    rows = [ROW, ROW.replace("PO-1,4711", "PO\u20111,\u200b4711").replace("INT-1", "INT-2")]

    assert run(csv_file(tmp_path, *rows))[0] == 0
    assert DraftOrder.objects.get().lines.count() == 2


def test_a_customer_is_found_by_a_number_that_only_looks_the_same(org, tmp_path):
    assert run(csv_file(tmp_path, ROW.replace("4711", "\u200f4711\u200b")), "--create-customers")[0] == 0
    assert Customer.objects.count() == 1


def test_letters_of_another_script_are_reported_and_make_another_order(org, tmp_path):
    run(csv_file(tmp_path, ROW))

    code, _, problem = run(csv_file(tmp_path, ROW.replace("PO-1", "P\u041e-1")))

    assert code == 0
    said = "\u041e (U+041E, Cyrillic Capital Letter O), in P\u041e-1"
    assert (
        f"line 2: order P\u041e-1 has warnings: Letters of another script look like Latin ones: {said}"
        in problem
    )
    assert DraftOrder.objects.count() == 2


def test_a_customer_number_with_letters_of_another_script_is_reported(org, tmp_path):
    path = csv_file(tmp_path, ROW.replace("4711", "\u041a4711"))

    code, _, problem = run(path, "--create-customers")

    assert code == 0
    assert "line 2, erp_customer_number: remark: \u041a4711: letters of another script" in problem


@pytest.mark.parametrize("mark", ["\n", "\r\n"])
def test_rows_between_two_stray_quotes_do_not_become_a_note(org, tmp_path, mark):
    """A unit of length, and a quote that nobody doubled: an order would be gone, and the import content."""
    notes = ['"two bars of 12', "", "", 'pipe 1/2"', "last"]
    rows = [f"{ROW.replace('PO-1', f'PO-{n}')},{note}" for n, note in enumerate(notes)]
    path = tmp_path / "orders.csv"
    path.write_bytes(mark.join([f"{HEADER},notes", *rows, ""]).encode())

    code, _, problem = run(path)

    assert code == 1
    assert "line 2, the whole line: a cell holds what looks like 3 more rows" in problem
    assert not DraftOrder.objects.filter(external_order_number="PO-0").exists()


def test_a_note_of_several_lines_stays_one(org, tmp_path):
    path = csv_file(
        tmp_path, f'{ROW},"Ring twice,\nthen wait, please.\n\nThanks, Anna"', header=f"{HEADER},notes"
    )

    assert run(path)[0] == 0
    assert DraftOrder.objects.get().notes == "Ring twice,\nthen wait, please.\n\nThanks, Anna"
