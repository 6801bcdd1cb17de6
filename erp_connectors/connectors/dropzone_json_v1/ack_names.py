"""Recognise misnamed answers: files in the ack folder that are probably answers but have a wrong name."""

import re

from erp_connectors.connectors.base import MisnamedAnswer

ACCEPTED_PREFIX, REFUSED_PREFIX, SUFFIX = "ack_", "error_", ".json"
# Stands for the export's name if the file's name does not contain one.
ANY_EXPORT = "sales_order_…"
_EXPORT = re.compile(r"sales_order_[0-9a-f]{8}_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}", re.IGNORECASE | re.ASCII)
# "ack-4711.json", "ACK 4711.json", "error.json", "ack_4711.txt"; not "acknowledgements" or "errors.log".
_LIKE_AN_ANSWER = re.compile(r"\s*(n?ack|error|err)([\W_]|$)", re.IGNORECASE | re.ASCII)
_REFUSED = re.compile(r"err|nack|nak|nok|fail|reject|refus|fehler", re.IGNORECASE | re.ASCII)


def misnamed_answer(name: str) -> MisnamedAnswer | None:
    """Return the expected name for a name that `ack.acknowledges` does not know; None if it is no answer."""
    found = _EXPORT.search(name)
    if found is None and not _LIKE_AN_ANSWER.match(name):
        return None
    export = found[0].lower() + SUFFIX if found else None
    rest = name.replace(found[0], "", 1) if found else name
    prefix = REFUSED_PREFIX if _REFUSED.search(rest) else ACCEPTED_PREFIX
    return MisnamedAnswer(export, f"{prefix}{export or ANY_EXPORT + SUFFIX}")
