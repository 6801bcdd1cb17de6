"""The names of ack files: which export a name answers, and which names are probably meant as answers."""

import re
from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase

from erp_connectors.connectors.base import MisnamedAnswer

ACCEPTED_PREFIX, REFUSED_PREFIX, SUFFIX = "ack_", "error_", ".json"
# Stands for the export's name if the file's name does not contain one.
ANY_EXPORT = "sales_order_…"
STEM = r"sales_order_[0-9a-f]{8}_[0-9]{8}_[0-9]{6}_[0-9a-f]{8}"
_EXPORT = re.compile(STEM, re.IGNORECASE | re.ASCII)
_ANSWERED = re.compile(rf"(?P<export>{STEM}(?P<ending>\.[a-z0-9]{{1,10}}))(?P<added>(\.json)*)")
# "ack-4711.json", "ACK 4711.json", "error.json", "ack_4711.txt"; not "acknowledgements".
_LIKE_AN_ANSWER = re.compile(r"\s*(n?ack|error|err)([\W_]|$)", re.IGNORECASE | re.ASCII)
# Files that programs leave in a folder; one that names an export may be an answer nevertheless.
_OTHER_FILES = (".log", ".lock", ".pid")
# Only ASCII: no other letter becomes one of an export's name.
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_REFUSED = re.compile(r"err|nack|nak|nok|fail|reject|refus|fehler", re.IGNORECASE | re.ASCII)


def acknowledges(
    name: str, ending: str = SUFFIX, is_ending: Callable[[str], bool] = SUFFIX.__eq__
) -> str | None:
    """Return the file name of the export that an ack file answers; None if it is not an ack file.

    ``ack_X.json``, ``ack_X.json.json`` and ``ACK_X.JSON`` all answer ``X.json``. ``ending``: that of the export files.
    With another one, ``.csv``, both ``ack_X.csv`` and ``ack_X.csv.json`` answer ``X.csv``. ``is_ending`` tells if older
    export files may have a certain ending. ``ack_X.csv.json`` answers ``X.csv`` with any ``ending``, because two
    connections may share an ack folder.
    """
    lower = name.translate(_LOWER)
    prefix = next((prefix for prefix in (ACCEPTED_PREFIX, REFUSED_PREFIX) if lower.startswith(prefix)), None)
    if prefix is None:
        return None
    answered, known = lower.removeprefix(prefix), (ending, SUFFIX)
    if found := _ANSWERED.fullmatch(answered):
        is_known = found["ending"] in known or is_ending(found["ending"])
        return found["export"] if is_known or found["added"] else None
    while shorter := _without_added_ending(answered, known):
        answered = shorter
    return answered if answered.endswith(known) and answered not in known else None


def _without_added_ending(answered: str, known: tuple[str, ...]) -> str | None:
    for added in known:
        shorter = answered.removesuffix(added)
        if shorter != answered and shorter.endswith(known):
            return shorter
    return None


def is_acceptance(name: str) -> bool:
    """Return whether an ack file's name says that the ERP accepted the order."""
    return name.translate(_LOWER).startswith(ACCEPTED_PREFIX)


def misnamed_answer(name: str, ending: str = SUFFIX) -> MisnamedAnswer | None:
    """Return the expected name for a name that `acknowledges` does not know; None if it is no answer."""
    found = _EXPORT.search(name)
    if found is None and (not _LIKE_AN_ANSWER.match(name) or name.lower().endswith(_OTHER_FILES)):
        return None
    export = found[0].lower() + ending if found else None
    rest = name.replace(found[0], "", 1) if found else name
    prefix = REFUSED_PREFIX if _REFUSED.search(rest) else ACCEPTED_PREFIX
    return MisnamedAnswer(export, f"{prefix}{export or ANY_EXPORT + ending}")
