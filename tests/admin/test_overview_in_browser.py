"""The front page and the frame as people use them, in Chromium, under the site's own content security policy."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Page, expect

from erp_connectors.faults import FOLDER_MISSING, HOST_KEY_CHANGED
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import PHONE, log_in, look, look_wide_and_narrow
from tests.services.status.test_overview import NOW, connection, export, failed, hold

pytestmark = pytest.mark.deep

EVERY = 30_000


@pytest.fixture
def busy(org, tmp_path):
    """A connection with some days behind it and some problem."""
    row = connection(org, tmp_path)
    for back in range(10):
        at = NOW - timedelta(days=back)
        for n in range(1, 4):
            export(
                row, ExportStatus.ACKED, created_at=at, sent_at=at, answered_at=at + timedelta(minutes=n * n)
            )
        export(row, created_at=at, overdue_at=at if back == 3 else None)
    failed(row, FOLDER_MISSING)
    failed(
        row,
        FOLDER_MISSING,
        failed_as=FailedAs.REFUSED,
        error={"code": "REFUSED_BY_ERP", "params": {"error_code": "X"}},
    )
    factories.draft(org, status=DraftStatus.READY, lines=0)
    hold(row, HOST_KEY_CHANGED)
    return row


@pytest.fixture
def page(as_user, org) -> Page:
    opened: Page = as_user(factories.user(org, Role.ADMIN))
    return opened


def test_axe_finds_nothing_serious_and_nothing_sticks_out(page, busy, live_server):
    page.goto(f"{live_server.url}/admin/")

    expect(page.get_by_role("heading", name="Needs your attention")).to_be_visible()
    for table in page.get_by_text("Show as a table").all():
        table.click()
    look_wide_and_narrow(page)


def test_so_it_is_on_the_log_in_page_and_on_an_empty_front_page(page, live_server, context):
    outside = context.browser.new_context().new_page()
    outside.goto(f"{live_server.url}/admin/")
    look_wide_and_narrow(outside)
    outside.context.close()
    page.goto(f"{live_server.url}/admin/")
    expect(page.get_by_role("link", name="Connect an ERP")).to_be_visible()
    look_wide_and_narrow(page)


def test_the_header_holds_what_is_in_it(page, live_server):
    for width in (1440, 1024, 900, 768, 767, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{live_server.url}/admin/")

        header, tools = (page.locator(one).bounding_box() for one in ("#header", "#user-tools"))
        assert tools["y"] + tools["height"] <= header["y"] + header["height"], width
        assert tools["x"] + tools["width"] <= width
        look(page)


def test_on_a_phone_every_page_is_reached_by_the_menu(page, live_server):
    page.set_viewport_size(PHONE)
    page.goto(f"{live_server.url}/admin/")
    page.get_by_text("Menu", exact=True).click()
    look(page)
    page.get_by_role("navigation", name="All pages").get_by_role("link", name="Exports").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Exports")


def test_it_refreshes_itself_and_takes_nothing_from_who_works_on_it(page, busy, org, live_server):
    page.clock.install()
    page.goto(f"{live_server.url}/admin/")
    step = page.get_by_role("link", name="Show and approve")
    step.focus()
    page.locator("#exports-by-day-desc").wait_for(state="attached")
    page.get_by_text("Show as a table").first.click()
    step.focus()
    factories.draft(org, status=DraftStatus.READY, lines=0)

    page.clock.fast_forward(EVERY + 1000)

    expect(page.get_by_text("2 orders wait for approval").first).to_be_visible()
    expect(page.get_by_role("link", name="Show and approve")).to_be_focused()
    expect(page.get_by_role("table", name="Exports by day")).to_be_visible()


def test_it_asks_for_nothing_while_nobody_looks(page, busy, live_server):
    asked: list[str] = []
    page.clock.install()
    page.goto(f"{live_server.url}/admin/")
    page.on("request", lambda request: asked.append(request.url) if "?part" in request.url else None)
    _hide(page, hidden=True)
    page.clock.fast_forward(EVERY * 4)
    page.wait_for_timeout(300)
    assert asked == []

    with page.expect_response("**/admin/?part"):
        _hide(page, hidden=False)
        page.clock.fast_forward(2000)


def test_who_is_logged_out_meanwhile_is_told(page, busy, live_server, context):
    page.clock.install()
    page.goto(f"{live_server.url}/admin/")
    context.clear_cookies()

    page.clock.fast_forward(EVERY + 1000)

    expect(page.get_by_role("alert")).to_contain_text("Log in again")
    expect(page.get_by_role("heading", name="Needs your attention")).to_be_visible()


def test_a_changed_key_is_compared_from_the_front_page(page, busy, live_server):
    page.goto(f"{live_server.url}/admin/")
    ERPConnection.objects.filter(pk=busy.pk).update(circuit_opened_at=None)
    factories_sftp(busy)
    page.goto(f"{live_server.url}/admin/")
    page.get_by_role("button", name="Fetch host key").click()

    expect(page.get_by_role("heading", level=1, name="Host key")).to_be_visible()


def factories_sftp(row: Any) -> None:
    """The same connection, now to a server that does not answer and whose key nobody has pinned."""
    row.config = {
        "mode": "sftp",
        "host": "127.0.0.1",
        "port": 1,
        "username": "u",
        "password": "p",
        "export_path": "/in",
    }
    row.save()


def test_language_and_theme_are_chosen_on_the_page_and_stay(page, busy, live_server):
    page.goto(f"{live_server.url}/admin/")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", level=1, name="Übersicht")).to_be_visible()
    look(page)
    page.locator(".theme-toggle").click()
    chosen = page.locator("html").get_attribute("data-theme")
    page.reload()

    assert chosen in ("light", "dark")
    expect(page.locator("html")).to_have_attribute("data-theme", chosen)
    expect(page.get_by_role("heading", level=1, name="Übersicht")).to_be_visible()


def test_no_page_does_what_the_policy_forbids(as_user, busy, org, live_server):
    """The console of each is watched; what a page shows is other tests' matter."""
    done = ERPExport.objects.filter(status=ExportStatus.ACKED).first()
    AckFile.objects.create(org=org, connection=busy, export=done, name="ack.json", body=b"{}")
    staff = as_user(factories.user(None))
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.first()
        urls = [reverse(f"{name}_changelist")]
        urls += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")] if row else []
        for url in urls:
            assert staff.goto(live_server.url + url).status == 200
    for url in (reverse("admin:password_change"), reverse("admin:app_list", args=["orders"])):
        assert staff.goto(live_server.url + url).status == 200


def test_the_page_of_the_api_works_under_its_policy(page, live_server):
    page.goto(f"{live_server.url}/api/v1/docs")

    expect(page.get_by_text("draft-orders").first).to_be_visible()
    page.locator(".opblock-summary").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()


def test_a_wrong_password_is_told_and_the_page_stays_whole(context, org, live_server):
    member = factories.user(org)
    page = context.new_page()
    log_in(page, live_server.url, member, password="wrong")

    expect(page.locator(".errornote")).to_be_visible()
    look(page)


def _hide(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )
