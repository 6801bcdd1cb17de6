"""The lists in a browser: accessible, and readable on a phone."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from orderflow.orders.states import DraftStatus
from tests import factories
from tests.admin.test_lists import ACKS, EXPORTS, ORDERS, pushed
from tests.admin.test_lists import org as org
from tests.browsing import DESKTOP, PHONE, look

pytestmark = pytest.mark.deep


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lists_are_accessible_and_fit_a_phone(as_user, live_server, org, scheme):
    export = pushed(org, status=DraftStatus.APPROVED)
    page = as_user(factories.user(org))
    page.emulate_media(color_scheme=scheme)
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        for address in (ORDERS, EXPORTS, ACKS):
            page.goto(live_server.url + reverse(address))
            look(page)
    page.goto(live_server.url + reverse(ORDERS))
    page.keyboard.press("/")
    page.keyboard.type(export.filename)
    assert page.input_value("#searchbar") == export.filename


def test_a_card_on_a_phone_leaves_out_what_holds_nothing(as_user, live_server, org):
    pushed(org)
    page = as_user(factories.user(org))
    page.goto(live_server.url + reverse(ORDERS))
    cell = page.locator("#result_list .field-erp_order_id").first

    page.set_viewport_size(DESKTOP)
    expect(cell).to_have_text("-")
    page.set_viewport_size(PHONE)
    expect(cell).to_be_hidden()
