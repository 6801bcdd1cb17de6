"""Chromium, and pages in it that may break nothing of the site's content security policy."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests import factories
from tests.services.conftest import make_site as make_site
from tests.services.conftest import site as site

if TYPE_CHECKING:  # the everyday tier has no browser; importing Playwright takes a second
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

WAIT = 30_000  # milliseconds that a page gets; machines are busy


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import expect  # noqa: PLC0415

    from tests.servers.chromium import chromium  # noqa: PLC0415

    expect.set_options(timeout=WAIT)
    with chromium() as running:
        yield running


@pytest.fixture
def org(transactional_db):
    return factories.org()


@pytest.fixture
def context(browser: "Browser") -> "Iterator[BrowserContext]":
    from tests.browsing import DESKTOP  # noqa: PLC0415

    made = browser.new_context(viewport=DESKTOP, locale="en-GB")
    made.set_default_timeout(WAIT)
    yield made
    made.close()


@pytest.fixture
def as_user(context: "BrowserContext", live_server: Any) -> "Iterator[Callable[[Any], Page]]":
    """A page on which a user is logged in; an error in its console, as for what the policy forbids, fails the test."""
    from tests.browsing import be_logged_in, looked_at  # noqa: PLC0415

    refused: list[str] = []

    def open_page(user: Any) -> "Page":
        page = context.new_page()
        page.on("console", lambda message: refused.append(message.text) if _is_error(message) else None)
        page.on("framenavigated", lambda frame: looked_at.discard(page))
        page.on("pageerror", lambda error: refused.append(str(error)))
        be_logged_in(context, live_server.url, user)
        page.goto(f"{live_server.url}/admin/")
        return page

    yield open_page
    assert refused == []


def _is_error(message: "ConsoleMessage") -> bool:
    from tests.browsing import looked_at  # noqa: PLC0415

    # axe sets inline styles, and takes what a style sheet imports for a neighbour of the page.
    of_axe = "inline style" in message.text or "/widgets.css" in message.location["url"]
    return message.type == "error" and not (message.page in looked_at and of_axe)
