"""A second factor in a browser: set up, recovery codes kept, logged in with it; in both widths and schemes."""

import base64

import pytest
from playwright.sync_api import Page, expect

from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import follow, log_in, look_wide_and_narrow
from tests.second_factors import code, set_up, unused, wrong

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]


def type_code(page: Page, text: str) -> None:
    page.fill("#id_code", text)
    follow(page, page.locator("#content [type=submit]"))


def test_it_is_set_up_and_asked_for_at_the_next_login(org, as_user, live_server, settings):
    settings.REQUIRE_SECOND_FACTOR = "admins"
    admin = factories.user(org, Role.ADMIN)
    page = as_user(admin)
    expect(page.get_by_text("A second factor is required")).to_be_visible()
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    look_wide_and_narrow(page)

    secret = base64.b32decode(page.locator("#second-factor-key").inner_text())
    type_code(page, wrong(secret))
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    type_code(page, code(secret))
    made = page.locator(".recovery-codes code").all_inner_texts()
    assert len(made) == 10
    look_wide_and_narrow(page)
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    follow(page, page.get_by_role("button", name="Log out"))
    unused(admin)
    log_in(page, live_server.url, admin)
    look_wide_and_narrow(page)
    type_code(page, wrong(secret))
    expect(page.get_by_text("This code is wrong")).to_be_visible()
    look_wide_and_narrow(page)
    type_code(page, code(secret))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    follow(page, page.get_by_role("link", name="Second factor"))
    look_wide_and_narrow(page)
    follow(page, page.get_by_role("link", name="Generate new recovery codes"))
    look_wide_and_narrow(page)
    type_code(page, made[0])
    expect(page.locator(".recovery-codes code")).to_have_count(10)


def test_what_resets_anothers_is_usable_by_all(org, as_user, live_server):
    person = factories.user(org)
    set_up(person)
    page = as_user(factories.user(org, Role.ADMIN))
    page.goto(f"{live_server.url}/admin/tenancy/user/{person.pk}/change/")
    follow(page, page.get_by_role("link", name="Reset the second factor"))
    look_wide_and_narrow(page)
    page.get_by_role("button", name="Reset the second factor").click()
    expect(page.get_by_text("has no second factor any more")).to_be_visible()
