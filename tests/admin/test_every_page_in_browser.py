"""Every page of the admin in a browser, wide and narrow, light and dark: axe finds nothing, nothing sticks out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from erp_connectors.admin.orders.row_actions import ORDER_ACTIONS
from erp_connectors.faults import DISK_FULL, Fault
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs, Stage
from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from tests import factories
from tests.admin.test_every_page import World, address, world
from tests.browsing import be_logged_in, follow, look_wide_and_narrow

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]
# What no other test in a browser looks at; of pages that are alike, one.
LOOKED_AT = (
    "password_change", "password_change_done", "app_list", "tenancy_org_changelist", "tenancy_org_change",
    "tenancy_user_changelist", "tenancy_user_add", "tenancy_user_change", "auth_user_password_change",
    "audit_auditlog_changelist", "audit_auditlog_change", "orders_customer_changelist", "orders_customer_add",
    "orders_customer_change", "orders_document_changelist", "orders_document_change", "erp_connectors_ackfile_change",
    "erp_connectors_ackfile_history", "orders_draftorder_history", "erp_connectors_erpconnection_changelist",
    "erp_export_proof", "erp_export_mark_accepted", "bulk_bulkrun_changelist", "orders_customer_delete",
)  # fmt: skip


@pytest.fixture
def own(tmp_path, settings, transactional_db) -> World:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = world(tmp_path, "Muster")
    record(
        Entry(
            action=Action.DISMISSED,
            org_id=made.org.pk,
            entity_type="AckFile",
            entity_id=str(made.ack.pk),
            before={"name": "ack_" + "sales_order_" * 12 + ".json", "reason": "x" * 300},
            after={"note": "y"},
        )
    )
    return made


@pytest.fixture
def page_of(context: BrowserContext, live_server: Any) -> Callable[[User], Page]:
    def open_page(user: User) -> Page:
        be_logged_in(context, live_server.url, user)
        return context.new_page()

    return open_page


@pytest.mark.parametrize("part", range(2))
def test_every_page_is_usable_by_all(own, page_of, live_server, part):
    page = page_of(factories.user(own.org, Role.ADMIN))
    for name in LOOKED_AT[part::2]:
        page.goto(f"{live_server.url}{address(name, own)}")
        look_wide_and_narrow(page)


def test_so_is_what_asks_before_something_is_done(own, page_of, live_server):
    draft = own.rows[DraftOrder]
    error = Fault(DISK_FULL, "").as_error(stage=Stage.STAGE, attempt=3, at=timezone.now())
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=FailedAs.NOT_SENT, error_json=error)
    AckFile.objects.update(status=AckFileStatus.MALFORMED, reason=Message("ack.empty"))
    page = page_of(factories.user(own.org, Role.ADMIN))
    at = {"ready": DraftStatus.NEEDS_REVIEW, "approve": DraftStatus.READY, "push": DraftStatus.APPROVED}

    for action in ORDER_ACTIONS:
        DraftOrder.objects.filter(pk=draft.pk).update(status=at.get(action.name, DraftStatus.ERROR))
        page.goto(live_server.url + reverse("admin:orders_draftorder_action", args=[draft.pk, action.name]))
        look_wide_and_narrow(page)
    for name in ("erp_connectors_ackfile_action", "erp_connectors_erpexport_action"):
        page.goto(live_server.url + address(name, own))
        look_wide_and_narrow(page)


def test_so_is_what_refuses(own, context, page_of, live_server, settings):
    page = context.new_page()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        page.goto(f"{live_server.url}/admin/")
        page.fill("#id_username", own.rows[User].email)
        page.fill("#id_password", "wrong")
        follow(page, page.locator("#login-form [type=submit]"))
    expect(page.get_by_text("Too many wrong passwords or codes.")).to_be_visible()
    look_wide_and_narrow(page)

    page = page_of(factories.user(own.org, Role.VIEWER))
    for path in (address("tenancy_user_changelist", own), "/admin/nowhere/"):
        page.goto(live_server.url + path)
        look_wide_and_narrow(page)


def test_so_are_a_list_that_was_searched_and_a_form_with_mistakes(own, page_of, live_server):
    page = page_of(factories.user(own.org, Role.ADMIN))
    for name in (
        "audit_auditlog_changelist",
        "tenancy_user_changelist",
        "erp_connectors_erpexport_changelist",
    ):
        page.goto(f"{live_server.url}{address(name, own)}?q=Muster")
        look_wide_and_narrow(page)
    for name in ("tenancy_user_add", "password_change", "orders_customer_add"):
        page.goto(live_server.url + address(name, own))
        # Else the browser names the first empty field itself, and the server's errors are never seen.
        page.evaluate("Array.from(document.forms, (form) => (form.noValidate = true))")
        follow(page, page.locator("#content-main [type=submit], #content form [type=submit]").first)
        expect(page.locator(".errorlist").first).to_be_visible()
        look_wide_and_narrow(page)
