"""A headless Chromium, driven by Playwright: the one that is installed, since Playwright's own is a download."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.parts import require_program

# Nothing that a browser does behind one's back: no updates, no look-ups, no sandbox that containers refuse.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-quic",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    program = require_program("chromium-headless-shell")
    # Playwright keeps an event loop in this thread, and Django would refuse to touch the database beside one.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
            try:
                yield browser
            finally:
                browser.close()
    finally:
        if before is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
