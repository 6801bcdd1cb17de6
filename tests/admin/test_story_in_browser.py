"""From an integrator's first login to the ERP's number, in Chromium; `make screenshots` keeps its pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.urls import reverse
from playwright.sync_api import Page, expect

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.states import ExportStatus
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from tests import factories
from tests.browsing import follow
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.ssh import SshServer
from tools.demo import world

pytestmark = pytest.mark.deep

Photograph = Callable[..., None]


@pytest.fixture
def photograph(request: pytest.FixtureRequest, tmp_path: Path) -> Photograph:
    """Keeps a page's picture where `--screenshots` says."""
    folder = Path(request.config.getoption("screenshots") or tmp_path)

    def take(page: Page, name: str, *, whole: bool = False) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}.png", full_page=whole, animations="disabled")

    return take


@pytest.fixture
def acme(transactional_db: None) -> Org:
    call_command("loaddata", str(world.FIXTURE), verbosity=0)
    User.objects.update(password=make_password(factories.PASSWORD))
    org: Org = Org.objects.get(slug="acme")
    return org


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def server(tmp_path: Path, behaviour: Behaviour) -> Iterator[SshServer]:
    for folder in ("in", "out"):
        (tmp_path / "erp" / folder).mkdir(parents=True)
    with asyncssh_server(tmp_path / "erp", behaviour=behaviour) as running:
        yield running


def member(org: Org, role: str) -> User:
    return User.objects.get(email=f"{role}@{org.slug}.example")


def connect(
    page: Page, url: str, server: SshServer, behaviour: Behaviour, photograph: Photograph
) -> ERPConnection:
    """The connection form, the key pair, the host key and the test, each on its page."""
    page.goto(url + reverse("admin:erp_connectors_erpconnection_add"))
    page.select_option("#id_mode", "sftp")
    for name, value in (("host", server.host), ("port", server.port), ("username", server.username)):
        page.fill(f"#id_{name}", str(value))
    page.fill("#id_export_path", server.path("in"))
    page.fill("#id_ack_path", server.path("out"))
    page.check("[name=ssh_key-generate]")
    photograph(page, "connection-form")
    page.click("[name=_save]")
    behaviour.trusted.append(page.inner_text("#own-public-key"))
    photograph(page, "connection-key")

    page.click("text=Fetch host key")
    page.check("[name=key]")
    photograph(page, "host-key")
    page.click("[name=pin]")
    expect(page.get_by_text("The connection works.")).to_be_visible()
    photograph(page, "connection-test")
    return ERPConnection.objects.get(status="ACTIVE", connector_type="DROPZONE_JSON_V1", org__slug="acme")


def confirmed(page: Page, button: str) -> None:
    """Press a button of the page, and the one of the same name on the page that asks."""
    follow(page, page.get_by_role("link", name=button, exact=True))
    follow(page, page.locator("#content input[type=submit].default"))


def answer(server: SshServer, export: ERPExport, number: str) -> None:
    written = server.root / "out" / "answer.tmp"
    written.write_text(
        f'{{"status": "ACKED", "erp_order_id": "{number}", "processed_at": "2026-11-23T09:15:00Z"}}'
    )
    written.rename(server.root / "out" / f"ack_{export.filename}")


def test_from_the_first_login_to_the_erps_number(
    as_user: Any, acme: Org, server: SshServer, behaviour: Behaviour, live_server: Any, photograph: Photograph
) -> None:
    page = as_user(member(acme, "integrator"))
    row = connect(page, live_server.url, server, behaviour, photograph)
    page.context.clear_cookies()

    order = DraftOrder.objects.filter(org=acme, status=DraftStatus.READY).order_by("created_at")[0]
    page = as_user(member(acme, "ops"))
    page.goto(live_server.url + reverse("admin:orders_draftorder_change", args=[order.pk]))
    confirmed(page, "Approve")
    confirmed(page, "Push to the ERP")
    export = ERPExport.objects.get(draft_order=order)
    deliver(row.pk)
    answer(server, export, "SO-2026-004711")
    poll(row.pk)

    page.reload()
    expect(page.get_by_text("SO-2026-004711").first).to_be_visible()
    photograph(page, "order", whole=True)
    page.goto(live_server.url + reverse("admin:erp_connectors_erpexport_change", args=[export.pk]))
    page.get_by_role("link", name="Proof of delivery, to print").click()
    expect(
        page.get_by_text(export.sha256 or ERPExport.objects.get(pk=export.pk).sha256).first
    ).to_be_visible()
    photograph(page, "proof-of-delivery", whole=True)
    export.refresh_from_db()
    order.refresh_from_db()
    assert (export.status, order.status, order.erp_order_id) == (
        ExportStatus.ACKED, DraftStatus.PUSHED, "SO-2026-004711"
    )  # fmt: skip

    push_together(page, live_server.url, acme, photograph)
    deliver(row.pk)
    for n, sent in enumerate(ERPExport.objects.filter(connection=row, status=ExportStatus.SENT)[1:]):
        answer(server, sent, f"SO-2026-{4712 + n:06}")
    poll(row.pk)
    look_at_the_whole(page, live_server.url, photograph)


def push_together(page: Page, url: str, org: Org, photograph: Photograph) -> None:
    page.goto(url + reverse("admin:orders_draftorder_changelist") + "?status__exact=APPROVED")
    approved = DraftOrder.objects.filter(org=org, status=DraftStatus.APPROVED)
    page.check("#action-toggle")
    page.select_option("select[name=action]", "push")
    follow(page, page.locator("button[name=index]"))
    photograph(page, "bulk-preview")
    count = approved.count()
    page.click(f"input[value='Push to the ERP: {count}']")
    expect(page.get_by_text("Finished.")).to_be_visible()
    photograph(page, "bulk-result")
    assert not approved.exists()


def look_at_the_whole(page: Page, url: str, photograph: Photograph) -> None:
    page.goto(url + reverse("admin:index"))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    photograph(page, "overview")
