"""What tests in a browser share: logging in, and looking at a page as axe does."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import BrowserContext, Locator, Page, ViewportSize

from tests import factories

# axe sets inline styles, which the site's policy forbids: until the next page their refusal is no fault of ours.
looked_at: set[Page] = set()
# A pixel more than what a frame without scroll bar leaves; and a list's column that only scrolling sideways shows.
CUT_OFF = """
() => {
  const hides = (element) => ["hidden", "clip"].includes(getComputedStyle(element).overflowX);
  const frame = (element) => element && (hides(element) ? element : frame(element.parentElement));
  const right = (element) => element.getBoundingClientRect().right;
  const sticksOut = (element) => {
    const around = frame(element.parentElement);
    return element.checkVisibility() && around && right(element) > right(around) + 1;
  };
  const controls = [...document.querySelectorAll("#content :is(input, select, textarea, button, a.button)")];
  const lists = [...document.querySelectorAll("#changelist .results")];
  return [
    ...controls.filter(sticksOut).map((element) => element.id || element.name || element.textContent),
    ...lists.filter((list) => list.scrollWidth > list.clientWidth + 1).map((list) => `${list.scrollWidth} px of list`),
  ];
}
"""
DESKTOP, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
SHAPES = [[(DESKTOP, "light"), (PHONE, "dark")], [(DESKTOP, "dark"), (PHONE, "light")]]
# Each page gets axe's half a megabyte once. Only violations come back.
RUN_AXE = "async (options) => ({violations: (await axe.run(document, options)).violations})"


def be_logged_in(context: BrowserContext, url: str, user: Any) -> None:
    """Give the browser a session, without the form, which the tests about logging in fill."""
    client = Client()
    client.force_login(user)
    (cookie,) = client.cookies.values()
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])


def open_as(context: BrowserContext, url: str, user: Any) -> Page:
    """Open the overview as this user."""
    be_logged_in(context, url, user)
    page = context.new_page()
    page.goto(f"{url}/admin/")
    return page


def log_in(page: Page, url: str, user: Any, *, password: str = factories.PASSWORD) -> None:
    page.goto(f"{url}/admin/")
    page.fill("#id_username", user.email)
    page.fill("#id_password", password)
    follow(page, page.locator("#login-form [type=submit]"))


def follow(page: Page, target: Locator) -> None:
    """Click what leads to another page, and wait until that page has loaded."""
    with page.expect_navigation():
        target.click()


def look(page: Page) -> None:
    """Fails where axe finds something serious, the page is wider than the window, or a part of it is cut off."""
    # A page that is still being parsed has elements that can be seen, but not all of them.
    page.wait_for_load_state()
    looked_at.add(page)
    # Else it would measure colours that are still on their way from light to dark.
    page.emulate_media(reduced_motion="reduce")
    # Its preloading of style sheets writes styles into the page, which a strict policy forbids.
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(RUN_AXE, {"preload": False, "resultTypes": ["violations"]})["violations"]
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == [], str(serious)
    # A pixel more is what fractions of columns add up to.
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window + 1, f"{wide} px wide"
    assert (cut := page.evaluate(CUT_OFF)) == [], f"cut off: {cut}"


def look_wide_and_narrow(page: Page) -> None:
    """Every other page the other way round, so that each shape is looked at often and no page four times."""
    for size, scheme in SHAPES[len(page.url) % 2]:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        try:
            look(page)
        except AssertionError as error:
            raise AssertionError(f"{page.url} at {size['width']} px, {scheme}: {error}") from None
