"""Which xdist worker gets which test."""

from xdist.scheduler import LoadScopeScheduling


class OneBrowser(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hand out tests one by one, but all tests in a browser to one worker, so that a run starts one Chromium.

    xdist's own groups rename items, which pytest 9.2 ignores.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if "_in_browser.py::" in nodeid else nodeid
