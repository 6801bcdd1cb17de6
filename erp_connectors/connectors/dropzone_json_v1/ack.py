"""What the ERP writes back: the names of ack files and what is in them."""

from datetime import UTC, datetime

import msgspec

from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.documents import Ack

ACCEPTED_PREFIX = "ack_"
REFUSED_PREFIX = "error_"
SUFFIX = ".json"
MAX_TEXT = 2000


class AckFile(msgspec.Struct, frozen=True):
    status: str
    erp_order_id: str | int | None = None
    error_code: str | int | None = None
    message: str | None = None
    processed_at: str | None = None


def acknowledges(name: str) -> str | None:
    """``ack_X.json`` and ``ack_X.json.json`` both answer ``X.json``; anything else is not an ack file."""
    for prefix in (ACCEPTED_PREFIX, REFUSED_PREFIX):
        if name.startswith(prefix) and name.endswith(SUFFIX) and len(name) > len(prefix) + len(SUFFIX):
            return name.removeprefix(prefix).removesuffix(SUFFIX).removesuffix(SUFFIX) + SUFFIX
    return None


def parse(name: str, body: bytes) -> Ack:
    """Raises `AckUnreadable`, whose text is for the ERP programmer."""
    answer = _decode(body)
    status = answer.status.strip().upper()
    expected = "ACKED" if name.startswith(ACCEPTED_PREFIX) else "FAILED"
    if status not in ("ACKED", "FAILED"):
        raise AckUnreadable(f'"status" is {answer.status!r}; write "ACKED" or "FAILED"')
    if status != expected:
        raise AckUnreadable(f'the file name says {expected}, "status" says {status}; they must agree')
    accepted = status == "ACKED"
    erp_order_id = _text(answer.erp_order_id)
    if accepted and not erp_order_id:
        raise AckUnreadable('"erp_order_id" is missing; write the number the ERP gave to the order')
    return Ack(
        accepted=accepted,
        erp_order_id=erp_order_id,
        error_code=_text(answer.error_code),
        message=_text(answer.message),
        processed_at=_moment(answer.processed_at),
    )


def _decode(body: bytes) -> AckFile:
    try:
        return msgspec.json.decode(body.decode("utf-8-sig").rstrip("\0 \t\r\n"), type=AckFile)
    except UnicodeDecodeError as error:
        raise AckUnreadable(f"it is not UTF-8 (byte {error.start})") from None
    except msgspec.ValidationError as error:
        raise AckUnreadable(f"it is JSON, but not an ack: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise AckUnreadable(f"it is not JSON: {error}") from None


def _text(value: str | int | None) -> str | None:
    return str(value).strip()[:MAX_TEXT] or None if value is not None else None


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        raise AckUnreadable(
            f'"processed_at" is {text[:40]!r}; write ISO 8601 like 2025-12-26T10:01:00Z'
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
