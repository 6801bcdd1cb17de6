from datetime import UTC, datetime

import pytest

from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.connectors.dropzone_json_v1.ack import acknowledges, parse

NAME = "sales_order_550e8400_20251227_100000_abc12345.json"
ACKED = b'{"status": "ACKED", "erp_order_id": "SO-2025-000123", "processed_at": "2025-12-26T10:01:00Z"}'
FAILED = b'{"status": "FAILED", "error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}'


@pytest.mark.parametrize("prefix", ["ack_", "error_"])
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_an_ack_file_is_named_after_its_export(prefix, suffix):
    assert acknowledges(f"{prefix}{NAME}{suffix}") == NAME


@pytest.mark.parametrize("name", [NAME, f"ack_{NAME}.tmp", "ack_.json", "readme.txt", "nack_x.json", "ack_x"])
def test_other_files_are_left_alone(name):
    assert acknowledges(name) is None


def test_an_acceptance():
    ack = parse(f"ack_{NAME}", ACKED)

    assert (ack.accepted, ack.erp_order_id) == (True, "SO-2025-000123")
    assert ack.processed_at == datetime(2025, 12, 26, 10, 1, tzinfo=UTC)


def test_a_refusal():
    ack = parse(f"error_{NAME}", FAILED)

    assert (ack.accepted, ack.error_code, ack.message) == (False, "ERP_VALIDATION", "Unknown customer 4711")


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf" + ACKED, ACKED + b"\r\n", ACKED + b"\0\0", ACKED.lower()])
def test_clumsy_but_clear_acks_are_understood(body):
    body = body.replace(b"so-2025", b"SO-2025")
    assert parse(f"ack_{NAME}", body).erp_order_id == "SO-2025-000123"


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("ack_x.json", b"", "not JSON"),
        ("ack_x.json", ACKED[:-1], "not JSON"),
        ("ack_x.json", b"\xff\xfe", "not UTF-8"),
        ("ack_x.json", b'{"a":' * 100_000, "not JSON"),
        ("ack_x.json", b"[]", "not an ack"),
        ("ack_x.json", b'{"status": "OK"}', '"status"'),
        ("ack_x.json", FAILED, "must agree"),
        ("error_x.json", ACKED, "must agree"),
        ("ack_x.json", b'{"status": "ACKED"}', "erp_order_id"),
        ("ack_x.json", b'{"status": "ACKED", "erp_order_id": "1", "processed_at": "soon"}', "processed_at"),
    ],
)
def test_what_is_unclear_is_explained(name, body, why):
    with pytest.raises(AckUnreadable, match=why):
        parse(name, body)
