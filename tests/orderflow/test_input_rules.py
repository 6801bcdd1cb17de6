"""One set of rules for texts, keys, numbers and currencies, whichever way they come in."""

import re
import unicodedata
from pathlib import Path
from unicodedata import normalize

import msgspec
import pytest
from django.core.exceptions import ValidationError

from orderflow.input_rules import numbers
from orderflow.input_rules.currencies import CODES, DECIMALS, require_currency
from orderflow.input_rules.keys import look_alikes, normal_form
from orderflow.input_rules.strict_json import DuplicateKey, decode
from orderflow.input_rules.text import KEY, LINES, ONE_LINE

RULES = {"key": KEY, "one line": ONE_LINE, "lines": LINES}
REFUSED = [
    "\0", "\x01", "\x08", "\x0b", "\x0c", "\x0e", "\x1b", "\x1f", "\x7f", "\x85", "\x9f", "\ufdd0", "\ufffe", "\uffff",
    "\ud800", "\udfff",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
@pytest.mark.parametrize("sign", REFUSED, ids=lambda sign: f"{ord(sign):04x}")
def test_control_characters_and_what_is_no_character_are_refused_in_every_text(rule, sign):
    for text in (sign, f"a{sign}b", f"{sign} ", f" {sign}"):
        with pytest.raises(ValidationError, match=f"U\\+{ord(sign):04X}"):
            rule.clean(text)


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\u2028", "\u2029"])
def test_line_breaks_are_refused_in_one_line_and_are_one_kind_in_notes(sign):
    for rule in (KEY, ONE_LINE):
        with pytest.raises(ValidationError, match="line break"):
            rule.clean(f"PO-1{sign}")
    assert LINES.clean(f"a{sign}b") == "a\nb"


SAME_KEY = {
    "zero-width space": "PO-1\u200b",
    "soft hyphen": "PO\u00ad-1",
    "left-to-right mark": "\u200ePO-1",
    "byte order mark": "\ufeffPO-1",
    "word joiner": "PO\u2060-1",
    "bidirectional override": "\u202ePO-1\u202c",
    "variation selector": "PO-1\ufe0f",
    "hyphen": "PO\u20101",
    "no-break hyphen": "PO\u20111",
    "en dash": "PO\u20131",
    "minus": "PO\u22121",
    "full width": "\uff30\uff2f\uff0d\uff11",
    "blanks at the ends": " \t PO-1 \u00a0",
}


@pytest.mark.parametrize("written", SAME_KEY.values(), ids=list(SAME_KEY))
def test_what_looks_the_same_is_the_same_key(written):
    key = KEY.clean(written)

    assert key == "PO-1"
    assert KEY.clean(key) == key


def test_blanks_of_every_kind_are_one_blank_and_nfd_is_nfc():
    assert KEY.clean("PO\u00a01") == KEY.clean("PO\u20091") == KEY.clean("PO\t1") == "PO 1"
    assert normal_form(normalize("NFD", "Bestellung-\u00e9")) == "Bestellung-\u00e9"
    assert normal_form("A 000  989") == "A 000  989"  # two blanks are two


def test_the_normal_form_is_stable_and_leaves_every_plain_text_alone():
    for code in [*range(0x20, 0x3000), *range(0xF900, 0x10000), *range(0x1F300, 0x1F700)]:
        if 0xD800 <= code <= 0xDFFF or unicodedata.category(chr(code)) == "Cn":
            continue
        once = normal_form(f"A{chr(code)}B")
        assert normal_form(once) == once
        if code < 0x80:
            assert once == f"A{chr(code)}B"


def test_a_name_keeps_what_belongs_to_its_spelling():
    persian, family = (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    )
    for text in (persian, family, "10\u00a0000 St\u00fcck \u2013 wei\u00df", "\u6ce8\u6587\u3000\u66f8"):
        assert ONE_LINE.clean(text) == text
    assert ONE_LINE.clean("Kabel\u200b NYM\u00ad-J\ufeff\tgrau") == "Kabel NYM-J grau"


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_pattern_of_the_description_says_the_same_as_the_rule(rule):
    """Except half of a surrogate pair, which no JSON text can hold."""
    for code in [*range(0x2100), *range(0xFD00, 0x10000), 0x1F600]:
        try:
            rule.check(f"a{chr(code)}b")
            accepted = True
        except ValidationError:
            accepted = False
        assert (re.search(rule.pattern, f"a{chr(code)}b") is not None) is accepted, hex(code)


@pytest.mark.parametrize(
    ("key", "letters"),
    [
        ("PO-1", ()),
        ("P\u041e-1", ("\u041e",)),
        ("\u0420\u041e-1", ("\u041e", "\u0420")),
        ("\u0391-17", ("\u0391",)),
        ("\u00dc\u041e-1", ("\u041e",)),
        # Written in its own script: nothing to confuse.
        ("\u0417\u0430\u043a\u0430\u0437-1", ()),
        ("\u6ce8\u6587\u66f8-1", ()),
        ("\u00d6-1", ()),
    ],
)
def test_letters_of_another_script_are_reported_and_not_merged(key, letters):
    assert look_alikes(key) == letters
    assert normal_form(key) == key


def test_currencies_are_those_of_iso_4217_with_their_decimals():
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CODES)
    assert len(CODES) == len(set(CODES)) == 165
    assert [DECIMALS[code] for code in ("EUR", "JPY", "KWD", "CLF", "CHF", "ISK", "HUF")] == [
        2,
        0,
        3,
        4,
        2,
        0,
        2,
    ]
    for code in CODES:
        require_currency(code)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("RMB", "CNY"), ("QQQ", "a code like EUR"), ("EUO", "EUR"), ("XXX", "a code like EUR"), ("XTS", "a code like"),
        ("XAU", "a code like"), ("eur", "EUR"), ("\u20ac", "a code like EUR"), ("BGN", "EUR"), ("ZZZ", "a code like"),
        ("STG", "GBP"), (" EUR", "a code like"), ("\uff25\uff35\uff32", "a code like"),
    ],
)  # fmt: skip
def test_another_code_is_refused_and_the_one_that_is_meant_is_named(code, said):
    with pytest.raises(ValidationError, match=f"ISO 4217. Write {said}"):
        require_currency(code)


@pytest.mark.parametrize(
    "text", ["1_000", "\u0663", "1e3", "+1", " 1", "1 ", "1,5", "", ".", "1.", "\uff11", "NaN", "0x1", "--1"]
)
def test_a_number_is_ascii_digits_and_a_point(text):
    assert numbers.DECIMAL.fullmatch(text) is None
    assert re.search(numbers.decimal_pattern(15, 3), text) is None


@pytest.mark.parametrize("text", ["0", "-1", "10.5", "0001", "123456789012345.678"])
def test_a_plain_number_is_accepted(text):
    assert numbers.DECIMAL.fullmatch(text)
    assert re.search(numbers.decimal_pattern(15, 3), text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"a": 1, "a": 1}', "a"),
        (b'{"lines": [{"qty": "1"}, {"qty": "2", "uom": "M", "qty": "3"}]}', "qty"),
        (b'{"a": 1, "\\u0061": 2}', "a"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_and_named(text, key):
    with pytest.raises(DuplicateKey, match=f"'{key}' appears twice"):
        decode(text, msgspec.json.Decoder())


def test_other_json_is_read_as_ever():
    text = b'{"a": [1, 2.5, "x", null, {"a": true}], "b": {"a": 12345678901234567890}}'

    assert decode(text, msgspec.json.Decoder()) == msgspec.json.decode(text)
    with pytest.raises(msgspec.DecodeError):
        decode(b"[NaN]", msgspec.json.Decoder())


def test_the_texts_of_real_orders_stay_as_they_are():
    """So the order files of orders that are clean do not change."""
    with (Path(__file__).resolve().parents[1] / "orders" / "orders.jsonl").open() as lines:
        orders = [msgspec.json.decode(line) for line in lines]
    texts = [(KEY, order["external_order_number"]) for order in orders]
    texts += [(ONE_LINE, order["customer"]["name"]) for order in orders]
    texts += [(KEY, line["internal_sku"]) for order in orders for line in order["lines"]]
    texts += [(ONE_LINE, line["product_description"]) for order in orders for line in order["lines"]]

    assert len(texts) > 400
    assert [text for rule, text in texts if rule.clean(text) != text] == []
