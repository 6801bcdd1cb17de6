"""Which xdist worker gets which test."""

import re

from xdist.scheduler import LoadScopeScheduling


class ByExpensiveParts(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out tests one by one, but those that share an expensive part to one worker.

    So a run starts one Chromium, and each production site once.
    xdist's own groups rename items, which pytest 9.2 ignores.
    """

    def _split_scope(self, nodeid: str) -> str:
        if "_in_browser.py::" in nodeid:
            return "browser"
        if nodeid.startswith("tests/production/"):
            database = re.search(r"\[(\w+)", nodeid)
            return f"production {database[1] if database else ''}"
        return nodeid
