"""The browser's own time zone, said by its script."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests import factories
from tests.browsing import open_as

pytestmark = pytest.mark.deep


def test_a_browser_in_tokyo_sees_tokyos_times(browser, org, live_server):
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = open_as(context, live_server.url, factories.user(org))

    page.goto(live_server.url + reverse("admin:orders_draftorder_changelist"))

    expect(page.get_by_text("All times are Asia/Tokyo.")).to_be_visible()
    context.close()
