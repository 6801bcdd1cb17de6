from datetime import UTC, datetime

import pytest

from erp_connectors.connectors.base import MAX_ORDER_ID, AckUnreadable
from erp_connectors.connectors.json_acks.ack import MAX_TEXT, parse
from erp_connectors.connectors.json_acks.ack_names import acknowledges
from orderflow.messages import Message, english

NAME = "sales_order_550e8400_20251227_100000_abc12345.json"
ACKED = b'{"status": "ACKED", "erp_order_id": "SO-2025-000123", "processed_at": "2025-12-26T10:01:00Z"}'
FAILED = b'{"status": "FAILED", "error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}'
UMLAUTS = '{"status": "FAILED", "error_code": "Ü1", "message": "Größe „XXL“ für Müller & Söhne ungültig, €"}'


def accepted(fields):
    """An acceptance with a number of its own, and whatever else is in ``fields``."""
    return parse(f"ack_{NAME}", f'{{"status": "ACKED", {fields}}}'.encode())


def refused(fields):
    return parse(f"error_{NAME}", f'{{"status": "FAILED", {fields}}}'.encode())


# Names


def test_an_ack_file_is_named_after_its_export():
    prefixes, suffixes = ("ack_", "error_", "ACK_", "Error_"), ("", ".json", ".JSON", ".json.json")
    names = [f"{prefix}{NAME}{suffix}" for prefix in prefixes for suffix in suffixes]

    assert [name for name in names if acknowledges(name) != NAME] == []


def test_a_name_in_capitals_answers_the_export_as_it_is_written():
    assert acknowledges(f"ACK_{NAME}".upper()) == NAME


def test_an_answer_to_a_file_of_another_connection_in_the_folder_names_that_file():
    other = NAME.removesuffix(".json") + ".csv"

    assert (acknowledges(f"ack_{other}.json"), acknowledges(f"ack_{other}")) == (other, None)


OTHER_NAMES = [
        NAME, f"ack_{NAME}.tmp", "ack_.json", "ack_.json.json", "readme.txt", "nack_x.json", "ack_x", "", "ack_",
        f"ack_{NAME}\n", f" ack_{NAME}", f"ac\u212a_{NAME}", f"ack_{NAME}.json.bak",
]  # fmt: skip


def test_other_files_are_left_alone():
    assert [name for name in OTHER_NAMES if acknowledges(name) is not None] == []


STRANGE_NAMES = [
        "ack_../x.json", "ack_..json", "ack_a\nb.json", 'ack_"x\'.json', f"ack_{'x' * 246}.json", "ack_ä.json",
        "ack_\udcff.json", "ack_ack_x.json", f"ack_ {NAME}",
]  # fmt: skip


def test_strange_names_never_answer_a_well_named_export():
    assert [name for name in STRANGE_NAMES if acknowledges(name) == NAME] == []


# What is clear


def test_an_acceptance():
    ack = parse(f"ack_{NAME}", ACKED)

    assert (ack.accepted, ack.erp_order_id) == (True, "SO-2025-000123")
    assert ack.processed_at == datetime(2025, 12, 26, 10, 1, tzinfo=UTC)


def test_a_refusal():
    ack = parse(f"error_{NAME}", FAILED)

    assert (ack.accepted, ack.error_code, ack.message) == (False, "ERP_VALIDATION", "Unknown customer 4711")


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + ACKED,
        b"\xef\xbb\xbf\xef\xbb\xbf" + ACKED,
        b"\r\n \t" + ACKED,
        ACKED + b"\r\n",
        ACKED + b"\0\0\0\0",
        ACKED + b"\r\n\x1a",
        ACKED.replace(b", ", b",\r\n\t"),
        ACKED.replace(b"ACKED", b"acked"),
        ACKED.replace(b"ACKED", b"  Acked \\u0000"),
        ACKED.replace(b"SO-2025-000123", b" SO-2025-000123\\u0000\\u0000"),
        ACKED.replace(b'"status"', b'"STATUS"').replace(b'"erp_order_id"', b'"ERP_ORDER_ID"'),
        ACKED.replace(b"{", b'{"status": "ACKED", '),
        ACKED.replace(b"{", b'{"_comment": {"a": [1, NaN, {"status": "FAILED"}]}, "total": 1e999, '),
        ACKED.replace(b"{", b'{"message": [], "error_code": {"a": 1}, '),
        ACKED.decode().encode("utf-16"),
        ACKED.decode().encode("utf-16-le"),
        ACKED.decode().encode("utf-16-be"),
        b"\xfe\xff" + ACKED.decode().encode("utf-16-be"),
        (ACKED.decode() + "\r\n\0").encode("utf-16"),
        ACKED.decode().encode("utf-32"),
    ],
)
def test_clumsy_but_clear_acks_are_understood(body):
    ack = parse(f"ack_{NAME}.json", body)

    assert (ack.accepted, ack.erp_order_id) == (True, "SO-2025-000123")
    assert ack.processed_at == datetime(2025, 12, 26, 10, 1, tzinfo=UTC)


def test_a_name_in_capitals_says_accepted_or_refused_all_the_same():
    assert parse(f"ACK_{NAME}".upper(), ACKED).accepted
    assert not parse(f"ERROR_{NAME}".upper(), FAILED).accepted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_umlauts_in_any_encoding_that_can_be_told(encoding):
    ack = parse(f"error_{NAME}", UMLAUTS.encode(encoding))

    assert (ack.error_code, ack.message) == ("Ü1", "Größe „XXL“ für Müller & Söhne ungültig, €")


def test_latin_1_is_read_like_windows_1252():
    ack = parse(f"error_{NAME}", '{"status": "FAILED", "message": "Größe ungültig"}'.encode("latin-1"))

    assert ack.message == "Größe ungültig"


@pytest.mark.parametrize(
    ("written", "understood"),
    [
        ('"SO-1"', "SO-1"),
        ("4711", "4711"),
        ("0", "0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ('"4711.0"', "4711.0"),
        ('"0004711"', "0004711"),
        ('"SO-1\\n"', "SO-1"),
        ('"A\\u002d1"', "A-1"),
        ('"Ü-1"', "Ü-1"),
        (f'"{"x" * MAX_ORDER_ID}"', "x" * MAX_ORDER_ID),
    ],
)
def test_the_erps_number_is_taken_as_it_is_written(written, understood):
    assert accepted(f'"erp_order_id": {written}').erp_order_id == understood


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("42", "42"),
        ("4711.50", "4711.50"),
        ('"  two\\nlines\\t"', "two\nlines"),
        ('"raw\nline"', "raw\nline"),
        ('"nul\\u0000 bell\\u0007"', "nul  bell"),
        ('"half \\ud83d"', "half \ufffd"),
        ('"whole \\ud83d\\ude00"', "whole 😀"),
        ('""', None),
        ("null", None),
        (f'"{"x" * 5000}"', "x" * MAX_TEXT),
    ],
)
def test_a_message_is_kept_as_far_as_it_can_be(written, shown):
    assert refused(f'"message": {written}').message == shown


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ('"2025-12-26T11:01:00+01:00"', datetime(2025, 12, 26, 10, 1, tzinfo=UTC)),
        ('" 2025-12-26 10:01:00z "', datetime(2025, 12, 26, 10, 1, tzinfo=UTC)),
        ('"20251226T100100Z"', datetime(2025, 12, 26, 10, 1, tzinfo=UTC)),
        ('"2025-12-26T10:01:00"', None),
        ('"2025-12-26"', None),
        ('"26.12.2025 10:01"', None),
        ('"soon"', None),
        ('""', None),
        ("null", None),
        ("1766743260", None),
        ("[]", None),
        ('"0001-01-01T00:00:00+14:00"', None),
    ],
)
def test_a_time_that_is_not_certain_is_left_out_and_the_answer_counts(written, moment):
    ack = accepted(f'"erp_order_id": "SO-1", "processed_at": {written}')

    assert (ack.erp_order_id, ack.processed_at) == ("SO-1", moment)


def test_a_refusal_needs_no_reason_and_no_time():
    assert not parse(f"error_{NAME}", b'{"status": "FAILED"}').accepted


def test_the_same_value_twice_is_no_contradiction():
    assert accepted('"erp_order_id": "SO-1", "ERP_ORDER_ID": "SO-1", "x": 1, "x": 2').erp_order_id == "SO-1"


# What is not clear


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("ack_x.json", b"", "empty"),
        ("ack_x.json", b"\0" * 4096, "empty"),
        ("ack_x.json", b"\xef\xbb\xbf\r\n", "empty"),
        ("ack_x.json", ACKED[:-1], "cut_off"),
        ("ack_x.json", ACKED[:14], "cut_off"),
        ("ack_x.json", ACKED + ACKED, "more_after_it"),
        ("ack_x.json", b"{'status': 'ACKED'}", "not_json"),
        ("ack_x.json", b'{"status": "ACKED", "erp_order_id": 0815}', "not_json"),
        ("ack_x.json", b"status=ACKED", "not_json"),
        ("ack_x.json", b"\xff\xfe", "empty"),
        ("ack_x.json", b'\xff\xfe{\0"', "wrong_encoding"),
        ("ack_x.json", b'{"message": "\x81\x8d"}', "unknown_encoding"),
        ("error_x.json", '{"status": "FAILED", "message": "für"}'.encode("cp850"), "unknown_encoding"),
        ("error_x.json", '{"status": "FAILED", "message": "Größe"}'.encode("cp850"), "unknown_encoding"),
        ("error_x.json", b'{"message": "Gr' + "ö".encode() + b'\xfc"}', "two_encodings"),
        ("ack_x.json", b"[" * 1_000_000, "nested_too_deeply"),
        ("ack_x.json", b'{"a":' * 200_000, "nested_too_deeply"),
        ("ack_x.json", ACKED[:-1] + b', "x": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested_too_deeply"),
        ("ack_x.json", b"[]", "not_an_object"),
        ("ack_x.json", b'"ACKED"', "not_an_object"),
        ("ack_x.json", b"NaN", "not_an_object"),
        ("ack_x.json", b"{}", "status_missing"),
        ("ack_x.json", b'{"status": null}', "status_unknown"),
        ("ack_x.json", b'{"status": "OK"}', "status_unknown"),
        ("ack_x.json", b'{"status": 1}', "status_unknown"),
        ("ack_x.json", b'{"status": true}', "status_unknown"),
        ("ack_x.json", b'{"status": ["ACKED"]}', "status_unknown"),
        ("ack_x.json", b'{"status": {"a": 1}}', "status_unknown"),
        ("ack_x.json", b'{"status": "\\ud800"}', "status_unknown"),
        ("ack_x.json", FAILED, "status_contradicts_name"),
        ("error_x.json", ACKED, "status_contradicts_name"),
        ("ERROR_X.JSON", ACKED, "status_contradicts_name"),
        ("ack_x.json", b'{"status": "ACKED", "STATUS": "FAILED"}', "key_twice"),
    ],
)
def test_what_is_unclear_is_explained(name, body, why):
    with pytest.raises(AckUnreadable) as caught:
        parse(name, body)
    assert caught.value.why.code == f"ack.{why}"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ('"message": "x"', "order_id_missing"),
        ('"erp_order_id": null', "order_id_not_a_text"),
        ('"erp_order_id": ""', "order_id_empty"),
        ('"erp_order_id": " \\u0000 "', "order_id_empty"),
        ('"erp_order_id": 4711.0', "order_id_not_whole"),
        ('"erp_order_id": 1e400', "order_id_not_whole"),
        ('"erp_order_id": NaN', "order_id_not_a_text"),
        ('"erp_order_id": -Infinity', "order_id_not_a_text"),
        ('"erp_order_id": true', "order_id_not_a_text"),
        ('"erp_order_id": ["SO-1"]', "order_id_not_a_text"),
        ('"erp_order_id": {}', "order_id_not_a_text"),
        (f'"erp_order_id": "{"x" * 256}"', "order_id_too_long"),
        (f'"erp_order_id": {"9" * 1_000_000}', "order_id_too_long"),
        ('"erp_order_id": "SO\\u0000-1"', "order_id_not_printable"),
        ('"erp_order_id": "SO\n1"', "order_id_not_printable"),
        ('"erp_order_id": "SO-\\udfff"', "order_id_not_printable"),
        ('"erp_order_id": "1", "erp_order_id": "2"', "key_twice"),
        ('"erp_order_id": "1", "erp_order_id": 1', "key_twice"),
        ('"erp_order_id": [1], "erp_order_id": [1]', "key_twice"),
    ],
)
def test_a_number_that_is_not_certain_is_refused(fields, why):
    with pytest.raises(AckUnreadable) as caught:
        accepted(fields)
    assert caught.value.why.code == f"ack.{why}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b'{"state": "OK", "no": 7}',
            '"status" is missing. Write "ACKED" or "FAILED". Keys found: state, no.',
        ),
        (b'{"status": true}', '"status" is true. Write "ACKED" or "FAILED".'),
        (b'{"status": 7}', '"status" is the number 7. Write "ACKED" or "FAILED".'),
        (
            b"{'status': 1}",
            'The file is not JSON: unexpected "\'" at line 1, column 2. '
            "Write one JSON object, with texts in double quotes.",
        ),
    ],
)
def test_a_reason_names_what_was_found_without_the_words_of_a_programming_language(body, text):
    with pytest.raises(AckUnreadable) as caught:
        parse("ack_x.json", body)
    assert english(caught.value.why) == text


@pytest.mark.parametrize("key", ["error_code", "message"])
@pytest.mark.parametrize("value", ["[]", "{}", "true"])
def test_a_reason_that_is_no_text_is_refused(key, value):
    with pytest.raises(AckUnreadable) as caught:
        refused(f'"{key}": {value}')
    assert (caught.value.why.code, caught.value.why.params["key"]) == ("ack.not_a_text", key)


def test_no_order_number_is_read_in_an_encoding_that_was_guessed():
    body = '{"status": "ACKED", "erp_order_id": "SÖ-1"}'.encode("latin-1")

    with pytest.raises(AckUnreadable) as caught:
        parse(f"ack_{NAME}", body)
    assert caught.value.why == Message("ack.order_id_not_ascii", value='"SÖ-1"')


def test_an_acceptance_with_latin_1_elsewhere_counts():
    body = '{"status": "ACKED", "erp_order_id": "SO-1", "clerk": "Jürgen"}'.encode("latin-1")

    assert parse(f"ack_{NAME}", body).erp_order_id == "SO-1"
