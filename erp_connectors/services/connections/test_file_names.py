"""Names of the files that a connection test writes: each ends in .tmp, which every reader of order files ignores."""

import re
from datetime import UTC, datetime, timedelta

# A test that is still running must keep its files; it takes minutes at most.
LEFT_OVER_AFTER = timedelta(hours=1)
_STAMP = "%Y%m%d_%H%M%S_%f"
_NAME = re.compile(r"test_connection_(?P<stamp>\d{8}_\d{6}_\d{6})(_[a-z0-9]+)?(\.json)?\.tmp")


def probe_name(part: str, *, now: datetime) -> str:
    return f"test_connection_{now.astimezone(UTC):{_STAMP}}_{part}.tmp"


def is_left_over(name: str, *, now: datetime) -> bool:
    """Whether a test that was interrupted has left the file behind."""
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    try:
        written_at = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - written_at > LEFT_OVER_AFTER
