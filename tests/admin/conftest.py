"""Chromium, and pages in it under a strict content security policy."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from tests import factories
from tests.browsing import DESKTOP, log_in
from tests.servers.chromium import chromium

CSP = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def org(transactional_db):
    return factories.org()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport=DESKTOP, locale="en-GB")
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def as_user(context: BrowserContext, live_server: Any) -> Iterator[Callable[[Any], Page]]:
    """A page on which a user is logged in; a script or style that a strict policy forbids fails the test."""
    refused: list[str] = []
    context.route("**/admin/**", _with_policy)

    def open_page(user: Any) -> Page:
        page = context.new_page()
        page.on("console", lambda message: refused.append(message.text) if _is_error(message) else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        log_in(page, live_server.url, user)
        return page

    yield open_page
    assert refused == []


def _is_error(message: ConsoleMessage) -> bool:
    return message.type == "error" and not message.location["url"].endswith("/favicon.ico")


def _with_policy(route: Route) -> None:
    if route.request.resource_type != "document":
        route.continue_()
        return
    answer = route.fetch(max_redirects=0)
    route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": CSP})
