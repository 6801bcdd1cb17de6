"""An order's way from approval to the ERP's number as a person sees it, in Chromium, against a real OpenSSH server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections import host_keys
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import follow, look_wide_and_narrow, open_as
from tests.servers.openssh import openssh_server
from tests.servers.ssh import SshServer

pytestmark = pytest.mark.deep


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    for folder in ("root/in", "root/ack", "sshd"):
        (tmp_path / folder).mkdir(parents=True)
    with openssh_server(tmp_path / "root", tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def connection(org, server) -> ERPConnection:
    return factories.connection(org, server.config())


@pytest.fixture
def page(as_user, org) -> Page:
    opened: Page = as_user(factories.user(org, Role.OPS))
    return opened


def answered(server: SshServer, export: ERPExport, connection: ERPConnection) -> None:
    """As the ERP does it: takes the file, writes its answer."""
    (server.root / "in" / export.filename).unlink()
    answer = {"status": "ACKED", "erp_order_id": "SO-2026-4711", "processed_at": "2026-11-23T10:01:00Z"}
    (server.root / "ack" / f"ack_{export.filename}").write_text(json.dumps(answer))
    poll(connection.pk)


def go(page: Page, live_server, row, name: str = "") -> None:
    kind = f"{row._meta.app_label}_{row._meta.model_name}"
    page.goto(live_server.url + reverse(f"admin:{name or f'{kind}_change'}", args=[row.pk]))


def test_approve_push_deliver_ack_and_the_page_shows_the_number(
    page, live_server, org, server, connection, tmp_path
):
    draft = factories.draft(org, status=DraftStatus.READY, lines=40)
    go(page, live_server, draft)
    expect(page.locator("#status-summary-heading")).to_have_text("The order waits for approval.")

    page.get_by_role("link", name="Approve").click()
    expect(page.locator(".action-sentences")).to_contain_text("Nothing is sent yet")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".messagelist")).to_contain_text("is approved")

    page.get_by_role("link", name="Push to the ERP").click()
    expect(page.locator(".facts")).to_contain_text(f"{server.host}:{server.port}")
    expect(page.locator(".facts")).to_contain_text(server.path("in"))
    page.get_by_role("button", name="Push to the ERP").click()
    expect(page.locator("#status-summary-heading")).to_have_text("Being sent to the ERP.")

    deliver(connection.pk)
    page.reload()
    expect(page.locator("#status-summary-heading")).to_have_text(
        "The ERP has the file and has not answered yet."
    )
    expect(page.locator("table.order-lines tbody tr")).to_have_count(40)
    assert page.locator("form#draftorder_form").count() == 0

    export = ERPExport.objects.get()
    answered(server, export, connection)
    page.reload()
    expect(page.locator("#status-summary-heading")).to_have_text(
        "The ERP accepted the order as SO-2026-4711."
    )
    told = page.locator(".timeline > li strong").all_text_contents()
    assert told[0] == "The order was approved."
    assert "The ERP accepted the order." in told

    page.get_by_role("link", name=export.filename).first.click()
    expect(page.locator(".ack-file pre")).to_contain_text('"erp_order_id": "SO-2026-4711"')
    page.get_by_role("link", name="Show the file").click()
    expect(page.locator("section:has(#file) pre")).to_contain_text(
        '"export_version": "orderflow_export_json_v1"'
    )
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download the ack file").click()
    assert json.loads(Path(saved.value.path()).read_text())["erp_order_id"] == "SO-2026-4711"

    page.get_by_role("link", name="Proof of delivery").click()
    (fingerprint,) = host_keys.fingerprints(server.host_key)
    expect(page.locator("main")).to_contain_text(fingerprint)
    expect(page.locator("main")).to_contain_text("presented by the server")
    expect(page.locator("main")).to_contain_text(f"{server.host}:{server.port}")
    printed = tmp_path / "proof.pdf"
    page.pdf(path=printed, format="A4")
    assert printed.read_bytes().count(b"/Type /Page\n") == 1


@pytest.fixture
def story(org, server, connection):
    """One order that was accepted, one that was refused, one in review, one to be pushed."""
    accepted, refused = (push(factories.draft(org).pk, actor=None).export for _ in range(2))
    deliver(connection.pk)
    (server.root / "ack" / f"error_{refused.filename}").write_text(
        '{"status": "FAILED", "message": "gesperrt"}'
    )
    answered(server, accepted, connection)
    review = factories.draft(org, status=DraftStatus.NEEDS_REVIEW, document=None)
    return accepted, refused, review, factories.draft(org)


def test_every_page_can_be_read_by_everybody(page, live_server, story):
    accepted, refused, review, approved = story
    for row in (accepted.draft_order, refused.draft_order, review, accepted, refused):
        go(page, live_server, row)
        look_wide_and_narrow(page)
    page.goto(page.url + "?show=file")
    look_wide_and_narrow(page)
    for row, name in ((approved, "push"), (refused, "retry"), (review, "reject")):
        kind = f"{row._meta.app_label}_{row._meta.model_name}"
        page.goto(live_server.url + reverse(f"admin:{kind}_action", args=[row.pk, name]))
        look_wide_and_narrow(page)
    for name in ("erp_export_proof", "erp_export_mark_accepted"):
        go(page, live_server, refused, name)
        look_wide_and_narrow(page)


def test_a_german_reads_german(browser, live_server, org, story):
    accepted, *_ = story
    context = browser.new_context(locale="de-DE")
    page = open_as(context, live_server.url, factories.user(org, Role.OPS))

    go(page, live_server, accepted.draft_order)
    expect(page.locator("#status-summary-heading")).to_have_text(
        "Das ERP hat den Auftrag als SO-2026-4711 angenommen."
    )
    expect(page.locator("#timeline-heading")).to_have_text("Verlauf")
    go(page, live_server, accepted, "erp_export_proof")
    expect(page.locator("h1")).to_have_text("Zustellnachweis")
    context.close()


def test_buttons_work_without_scripts(browser, live_server, org, connection):
    draft = factories.draft(org, status=DraftStatus.READY)
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    page = open_as(context, live_server.url, factories.user(org, Role.OPS))

    go(page, live_server, draft)
    follow(page, page.locator(".action-primary"))
    follow(page, page.locator("[type=submit].default"))

    draft.refresh_from_db()
    assert draft.status == DraftStatus.APPROVED
    context.close()
