"""Faults as rows store them: ``error_json`` of an export, the reason of an open circuit, ``poll_error``.

A record has the code, the parameters, the stage, the attempt and the time; ``poll_error`` also has ``since``, the
time of the first of the polls in a row that failed by this code. Meaning and hint come from the table of faults when a
record is shown.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from django.conf import settings
from django.utils.translation import gettext, override

from erp_connectors.faults import FAULT_KINDS, REFUSED_BY_ERP
from orderflow.messages import Message, text

FaultRecord: TypeAlias = Mapping[str, Any]


def cause_of(record: FaultRecord | None) -> str:
    """Return what went wrong, in the active language: the ERP's own words if it gave any; empty without a record."""
    if not record or not record.get("code"):
        return ""
    params = record.get("params") or {}
    if record["code"] == REFUSED_BY_ERP.code:
        return str(params.get("message") or gettext(REFUSED_BY_ERP.meaning))
    return text(Message.from_json(record))


def hint_of(record: FaultRecord | None) -> str:
    """Return what to do, in the active language; empty without a record or for an unknown code."""
    kind = FAULT_KINDS.get(str((record or {}).get("code") or ""))
    return gettext(kind.hint) if kind else ""


def doc_url(code: str) -> str | None:
    """Return the address of a code's row in docs/faults.md; None for an unknown code, or without DOCS_URL."""
    if not settings.DOCS_URL or code not in FAULT_KINDS:
        return None
    return f"{settings.DOCS_URL}/faults.md#{code}"


def english_cause(record: FaultRecord | None) -> str:
    with override("en"):
        return cause_of(record)


def as_api(record: FaultRecord | None) -> dict[str, Any] | None:
    """Return the record as the API shows it: with message and hint in English, and the ERP's error code."""
    if not record:
        return None
    with override("en"):
        texts = {"message": cause_of(record), "hint": hint_of(record)}
    params = record.get("params") or {}
    of_erp = {"error_code": params.get("error_code")} if record.get("code") == REFUSED_BY_ERP.code else {}
    link = {"doc_url": doc_url(str(record.get("code") or ""))}
    return {**record, "params": params, **texts, **link, **of_erp}
