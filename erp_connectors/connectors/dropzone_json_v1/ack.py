"""Parse the content of ack files.

Content that can mean only one thing is accepted, however it is written. Values that decide are never guessed.
"""

import re
from datetime import UTC, datetime

from erp_connectors.connectors.base import MAX_ORDER_ID, AckUnreadable
from erp_connectors.connectors.dropzone_json_v1.ack_json import Constant, Fraction, Integer, read_object
from erp_connectors.connectors.dropzone_json_v1.ack_names import is_acceptance
from erp_connectors.connectors.dropzone_json_v1.ack_text import PADDING, decode
from erp_connectors.port_types import Ack
from orderflow.input_rules.keys import normal_form

MAX_TEXT = 2000

_KEYS = ("status", "erp_order_id", "error_code", "message", "processed_at")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def parse(name: str, body: bytes) -> Ack:
    """Return the answer in a file. Raises `AckUnreadable`, whose text is for the ERP's programmer."""
    file = decode(body)
    fields = read_object(file.text, _KEYS)
    processed_at = _moment(fields.get("processed_at"))
    if _accepted(name, fields.get("status")):
        order_id = _order_id(fields.get("erp_order_id"), ascii_only=file.guessed)
        return Ack(True, order_id, error_code=None, message=None, processed_at=processed_at)
    return Ack(
        False,
        None,
        error_code=_remark("error_code", fields.get("error_code")),
        message=_remark("message", fields.get("message")),
        processed_at=processed_at,
    )


def _accepted(name: str, value: object) -> bool:
    status = value.strip(PADDING).upper() if isinstance(value, str) else None
    if status not in ("ACKED", "FAILED"):
        raise AckUnreadable(f'"status" is {_shown(value)}; write "ACKED" or "FAILED"')
    expected = "ACKED" if is_acceptance(name) else "FAILED"
    if status != expected:
        raise AckUnreadable(
            f'the file name says {expected}, "status" says {status}; they must agree: '
            f"ack_ files say ACKED, error_ files say FAILED"
        )
    return status == "ACKED"


def _order_id(value: object, *, ascii_only: bool) -> str:
    if value is None:
        raise AckUnreadable('"erp_order_id" is missing; write the number the ERP gave to the order')
    if isinstance(value, (Fraction, Constant)):
        raise AckUnreadable(
            f'"erp_order_id" is the number {value[:40]}, which is not a whole one; '
            "write it in double quotes, just as the ERP shows it"
        )
    if not isinstance(value, str):
        raise AckUnreadable(f'"erp_order_id" is {_shown(value)}; write a text in double quotes')
    text = normal_form(value.strip(PADDING))
    _require_sound("erp_order_id", text)
    if ascii_only and not text.isascii():
        raise AckUnreadable(
            f'"erp_order_id" {_shown(text)} is not plain ASCII, and the file is not UTF-8; write the file in UTF-8'
        )
    return str(text)


def _require_sound(key: str, text: str) -> None:
    if not text:
        raise AckUnreadable(f'"{key}" is empty; write the number the ERP gave to the order')
    if len(text) > MAX_ORDER_ID:
        raise AckUnreadable(f'"{key}" has {len(text)} characters; write at most {MAX_ORDER_ID}')
    if not text.isprintable():
        raise AckUnreadable(
            f'"{key}" {_shown(text)} holds characters that can\'t be shown; write letters, digits and signs only'
        )


def _remark(key: str, value: object) -> str | None:
    """Return a text for users. It decides nothing, so characters that can't be stored are replaced."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str):
        raise AckUnreadable(f'"{key}" is {_shown(value)}; write a text in double quotes, or leave it out')
    readable = _HALF_PAIR.sub("\ufffd", _CONTROL.sub(" ", value.replace("\r\n", "\n")))
    return readable.strip()[:MAX_TEXT] or None


def _moment(value: object) -> datetime | None:
    """Return the time, or None if it is not certain (no zone, another format). It is information only."""
    text = value.strip(PADDING).upper() if isinstance(value, str) else ""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _shown(value: object) -> str:
    if isinstance(value, (Integer, Fraction, Constant)):
        return f"the number {value[:40]}"
    if isinstance(value, str):
        return repr(value[:40])
    names = {type(None): "missing", bool: "true or false", list: "a list"}
    return names.get(type(value), "an object")
