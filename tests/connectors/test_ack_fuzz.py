"""Whatever an ERP writes, or somebody who means harm: an `Ack`, or a sentence that says what is wrong."""

import json
import tracemalloc
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.connectors.base import MAX_ORDER_ID, AckUnreadable
from erp_connectors.connectors.json_acks.ack import MAX_TEXT, parse
from erp_connectors.connectors.json_acks.ack_names import acknowledges
from erp_connectors.port_types import Ack

NAMES = st.sampled_from(["ack_x.json", "error_x.json", "ACK_X.JSON", "Error_x.json.json"])
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "cp850", "cp037"]
ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates included
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["status", "STATUS", "erp_order_id", "error_code", "message", "processed_at", " Status "]
)
FIELDS = st.lists(st.tuples(KEYS | ANY_TEXT, VALUES | st.sampled_from(["ACKED", "FAILED", "acked ", "SO-1"])))


@st.composite
def almost_acks(draw):
    """JSON with our keys, in some encoding, with some bytes changed."""
    pairs = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in draw(FIELDS)]
    text = "{" + ", ".join(pairs) + "}"
    body = bytearray(text.encode(draw(st.sampled_from(ENCODINGS)), "replace"))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4)):
        body[at % len(body)] = byte
    return bytes(body[: draw(st.integers(0, 20_000))]) + draw(st.binary(max_size=4))


def read(name, body):
    try:
        return parse(name, body)
    except AckUnreadable as error:
        return str(error)


def require_storable(text, longest):
    assert 0 < len(text) <= longest
    assert "\0" not in text
    text.encode()  # no lone surrogate: every database takes it


@given(NAMES, st.binary(max_size=300) | almost_acks())
def test_any_bytes_are_an_answer_or_a_reason(name, body):
    result = read(name, body)

    if isinstance(result, str):
        require_storable(result, 400)
        return
    assert isinstance(result, Ack)
    assert result.accepted is name.lower().startswith("ack_")
    for text, longest in (
        (result.erp_order_id, MAX_ORDER_ID),
        (result.error_code, MAX_TEXT),
        (result.message, MAX_TEXT),
    ):
        if text is not None:
            require_storable(text, longest)
    assert bool(result.erp_order_id) is result.accepted
    assert result.processed_at is None or result.processed_at.tzinfo is UTC


@given(st.text(st.characters(), max_size=300))
def test_any_name_is_an_export_name_or_none(name):
    answered = acknowledges(name)

    assert answered is None or (answered.endswith(".json") and answered != ".json")


@given(st.text(max_size=255).filter(str.strip), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_a_number_is_never_changed(number, encoding):
    body = json.dumps({"status": "ACKED", "erp_order_id": number}, ensure_ascii=False).encode(encoding)

    result = read("ack_x.json", body)

    assert isinstance(result, str) or result.erp_order_id == number.strip("\0\x1a \t\r\n\ufeff")


@given(st.integers(0, 200), st.sampled_from(ENCODINGS[:5]))
def test_half_an_ack_is_never_read(end, encoding):
    whole = json.dumps({"status": "ACKED", "erp_order_id": "SO-1", "note": "Größe 4711"}).encode(encoding)

    assert isinstance(read("ack_x.json", whole[: min(end, len(whole) - 1)]), str)


LARGE = 200_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" * LARGE,
        b'{"a":' * (LARGE // 5),
        b"[" + b"[],{}," * (LARGE // 6),
        b"[" + b"1," * (LARGE // 2) + b"1]",
        b'{"status": ' + b"1" * LARGE + b"}",
        b'{"status": 1e' + b"9" * LARGE + b"}",
        b"{" + b'"status":"ACKED",' * (LARGE // 17) + b'"erp_order_id":"1"}',
        b'{"status": "' + b"\\u0000" * (LARGE // 6) + b'"}',
        b'{"status": "' + b"A" * LARGE,
        b'{"status": "ACKED", "processed_at": "' + b"1" * LARGE + b'", "erp_order_id": "1"}',
        b"\0" * LARGE,
        b"\xe4" * LARGE,
        b"\xff\xfe" + b"\0\xd8" * (LARGE // 2),
        b"{" * 500 + b" " * LARGE,
    ],
    ids=range(14),
)
def test_a_large_file_of_anything_takes_bounded_memory(body):
    tracemalloc.start()
    try:
        read("ack_x.json", body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 120 * len(body)
