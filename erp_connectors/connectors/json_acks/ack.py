"""Parse the content of ack files.

Content that can mean only one thing is accepted, however it is written. Values that decide are never guessed.
"""

import re
from datetime import UTC, datetime

from erp_connectors.connectors.base import MAX_ORDER_ID, AckUnreadable
from erp_connectors.connectors.json_acks.ack_json import (
    AckObject,
    Constant,
    Fraction,
    Integer,
    printable,
    quoted,
    read_object,
)
from erp_connectors.connectors.json_acks.ack_names import is_acceptance
from erp_connectors.connectors.json_acks.ack_text import PADDING, decode
from erp_connectors.port_types import Ack
from orderflow.input_rules.keys import normal_form
from orderflow.messages import Message

MAX_TEXT = 2000

_KEYS = ("status", "erp_order_id", "error_code", "message", "processed_at")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HALF_PAIR = re.compile(r"[\ud800-\udfff]")


def parse(name: str, body: bytes) -> Ack:
    """Return the answer in a file. Raises `AckUnreadable`, whose text is for the ERP's programmer."""
    file = decode(body)
    content = read_object(file.text, _KEYS)
    fields = content.fields
    processed_at = _moment(fields.get("processed_at"))
    if _accepted(name, content):
        order_id = _order_id(content, ascii_only=file.guessed)
        return Ack(True, order_id, error_code=None, message=None, processed_at=processed_at)
    return Ack(
        False,
        None,
        error_code=_remark("error_code", fields.get("error_code")),
        message=_remark("message", fields.get("message")),
        processed_at=processed_at,
    )


def _accepted(name: str, content: AckObject) -> bool:
    value = content.fields.get("status")
    if "status" not in content.fields:
        raise AckUnreadable(Message("ack.status_missing", keys=", ".join(content.keys)))
    status = value.strip(PADDING).upper() if isinstance(value, str) else None
    if status not in ("ACKED", "FAILED"):
        raise AckUnreadable(Message("ack.status_unknown", value=_shown(value)))
    expected = "ACKED" if is_acceptance(name) else "FAILED"
    if status != expected:
        raise AckUnreadable(Message("ack.status_contradicts_name", expected=expected, found=status))
    return status == "ACKED"


def _order_id(content: AckObject, *, ascii_only: bool) -> str:
    value = content.fields.get("erp_order_id")
    if "erp_order_id" not in content.fields:
        raise AckUnreadable(Message("ack.order_id_missing", keys=", ".join(content.keys)))
    if isinstance(value, Fraction):
        raise AckUnreadable(Message("ack.order_id_not_whole", value=printable(value)))
    if isinstance(value, Constant) or not isinstance(value, str):
        raise AckUnreadable(Message("ack.order_id_not_a_text", value=_shown(value)))
    text = normal_form(value.strip(PADDING))
    if problem := _problem(text, ascii_only=ascii_only):
        raise AckUnreadable(problem)
    return str(text)


def _problem(order_id: str, *, ascii_only: bool) -> Message | None:
    if not order_id:
        return Message("ack.order_id_empty")
    if len(order_id) > MAX_ORDER_ID:
        return Message("ack.order_id_too_long", length=len(order_id), most=MAX_ORDER_ID)
    if not order_id.isprintable():
        return Message("ack.order_id_not_printable", value=quoted(order_id))
    if ascii_only and not order_id.isascii():
        return Message("ack.order_id_not_ascii", value=quoted(order_id))
    return None


def _remark(key: str, value: object) -> str | None:
    """Return a text for users. It decides nothing, so characters that can't be stored are replaced."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str):
        raise AckUnreadable(Message("ack.not_a_text", key=key, value=_shown(value)))
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


def _shown(value: object) -> Message | str:
    if isinstance(value, (Integer, Fraction, Constant)):
        return Message("ack.value_number", number=printable(value))
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return Message("ack.value_list" if type(value) is list else "ack.value_object")
