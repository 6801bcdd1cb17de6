"""Bulk actions as an operator uses them, in Chromium."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction, BulkRun
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.browsing import look_wide_and_narrow

pytestmark = pytest.mark.deep


@pytest.fixture
def connected(org, tmp_path):
    factories.connection(org, {"mode": "filesystem", "export_path": str(tmp_path)})
    return org


def tick(page, *orders):
    for order in orders:
        page.check(f"input[name=_selected_action][value='{order.pk}']")


def test_three_of_five_are_pushed_and_the_page_follows(as_user, connected, live_server, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    drafts = factories.drafts(connected, 5)
    page = as_user(factories.user(connected))

    page.goto(live_server.url + reverse("admin:orders_draftorder_changelist"))
    tick(page, *drafts[:3])
    page.select_option("select[name=action]", "push")
    page.click("button[name=index]")
    expect(page.get_by_text("This happens to 3 orders:")).to_be_visible()
    page.click("input[value='Push to the ERP: 3']")
    expect(page.get_by_text("0 of 3")).to_be_visible()
    runs.execute(BulkRun.objects.get().pk)

    expect(page.get_by_text("Finished.")).to_be_visible()
    expect(page.locator(".bulk-rows tbody tr")).to_have_count(3)
    pushed = ERPExport.objects.values_list("draft_order", flat=True)
    assert set(pushed) == {draft.pk for draft in drafts[:3]}


def test_what_the_erp_refused_is_retried_together(as_user, connected, live_server):
    exports = [push(draft.pk, actor=None).export for draft in factories.drafts(connected, 3)]
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=FailedAs.REFUSED)
    DraftOrder.objects.update(status=DraftStatus.ERROR)
    page = as_user(factories.user(connected))

    page.goto(live_server.url + reverse("admin:erp_connectors_erpexport_changelist"))
    tick(page, *exports)
    page.select_option("select[name=action]", "retry")
    page.click("button[name=index]")
    page.click("input[value='Retry: 3']")

    expect(page.get_by_text("Finished.")).to_be_visible()
    assert ERPExport.objects.filter(status=ExportStatus.PENDING).count() == 3


def test_axe_finds_nothing_serious_and_nothing_sticks_out(as_user, connected, live_server):
    user = factories.user(connected)
    drafts = factories.drafts(connected, 12) + factories.drafts(connected, 3, status=DraftStatus.NEW)
    waiting, done = (runs.make(BulkAction.PUSH, factories.ids(drafts), actor=user) for _ in range(2))
    page = as_user(user)

    page.goto(live_server.url + reverse("admin:bulk_run", args=[waiting.pk]))
    look_wide_and_narrow(page)
    runs.confirm(done)
    page.goto(live_server.url + reverse("admin:bulk_run", args=[done.pk]))
    look_wide_and_narrow(page)
