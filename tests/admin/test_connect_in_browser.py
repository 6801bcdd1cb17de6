"""Connecting an ERP as a person does it, in Chromium, against a real OpenSSH server."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import follow, look_wide_and_narrow, open_as
from tests.parts import require_program
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.ssh import SshServer, new_key, public_line

pytestmark = pytest.mark.deep

ADD = "admin:erp_connectors_erpconnection_add"


@pytest.fixture
def page(as_user, org) -> Page:
    opened: Page = as_user(factories.user(org, Role.INTEGRATOR))
    return opened


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[Callable[..., SshServer]]:
    running = []

    def start(extra: str = "") -> SshServer:
        for folder in ("root/in", "root/ack", "sshd"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        running.append(openssh_server(tmp_path / "root", tmp_path / "sshd", extra=extra))
        return running[-1].__enter__()

    yield start
    for server in running:
        server.__exit__(None, None, None)


def fill_in(page: Page, server: SshServer) -> None:
    page.select_option("#id_mode", "sftp")
    page.fill("#id_host", server.host)
    page.fill("#id_port", str(server.port))
    page.fill("#id_username", server.username)
    page.fill("#id_export_path", server.path("in"))
    page.fill("#id_ack_path", server.path("ack"))


def fingerprint(public: Path) -> str:
    told = subprocess.run(
        [require_program("ssh-keygen"), "-lf", public], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[1]


def connected(org: Any, server: SshServer, **config: Any) -> ERPConnection:
    return factories.connection(org, server.config(**config))


def address(live_server: Any, row: ERPConnection, what: str = "erp_connectors_erpconnection_change") -> str:
    return live_server.url + reverse(f"admin:{what}", args=[row.pk])


def test_from_the_first_login_to_a_connection_that_works(page, org, live_server, openssh, tmp_path):
    second = tmp_path / "rsa_key"
    subprocess.run([require_program("ssh-keygen"), "-q", "-t", "rsa", "-N", "", "-f", second], check=True)
    server = openssh(f'HostKey "{second}"')

    page.goto(live_server.url + reverse(ADD))
    fill_in(page, server)
    page.check("[name=ssh_key-generate]")
    page.click("[name=_save]")
    public = page.inner_text("#own-public-key")
    (tmp_path / "sshd" / "authorized_keys").write_text(public + "\n")

    page.click("text=Fetch host key")
    (tmp_path / "ed.pub").write_text(server.host_key + "\n")
    for shown in (fingerprint(tmp_path / "ed.pub"), fingerprint(tmp_path / "rsa_key.pub")):
        expect(page.get_by_text(shown)).to_be_visible()
    assert not AuditLog.objects.filter(action=Action.HOST_KEY_PINNED).exists()
    page.get_by_label(fingerprint(tmp_path / "ed.pub")).check()
    page.click("[name=pin]")

    expect(page.get_by_text("The connection works.")).to_be_visible()
    expect(page.locator(".step-ok")).to_have_count(6)
    row = ERPConnection.objects.get()
    entry = AuditLog.objects.get(action=Action.HOST_KEY_PINNED)
    assert entry.after["fingerprints"] == [f"ssh-ed25519 {fingerprint(tmp_path / 'ed.pub')}"]
    assert (row.last_test_success, row.config["ssh_key"] in page.content()) == (True, False)
    assert row.test_report["server_capabilities"] == dict.fromkeys(
        ("posix_rename", "replaces_existing", "fsync", "several_channels", "own_handles",
         "ack_list", "ack_write", "ack_read", "ack_processed",
         "ack_error", "ack_delete"), True
    )  # fmt: skip
    export = push(factories.draft(org).pk, actor=None).export
    deliver(row.pk)
    export.refresh_from_db()
    assert export.status == ExportStatus.SENT


def test_a_wrong_password_says_who_can_fix_it_and_writes_the_mail(page, org, live_server, openssh, context):
    server = openssh("Match all\n  PasswordAuthentication yes")
    row = connected(org, server, ssh_key=None, password="wrong password")
    context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.goto(address(live_server, row))
    page.click("text=Test connection")

    failed = page.locator(".step-failed")
    expect(failed).to_contain_text("LOGIN_REFUSED")
    expect(failed).to_contain_text("ERP side")
    expect(failed).to_contain_text("Check the user name and the password or key")
    page.click("text=Copy message for the ERP team")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"Server: {server.host}:{server.port}" in copied
    assert "Please check that this user exists" in copied
    assert "wrong password" not in copied + page.content()


def test_a_changed_host_key_holds_the_queue_until_a_person_has_compared(
    page, org, live_server, openssh, tmp_path
):
    server = openssh()
    old = public_line(new_key())
    row = connected(org, server, host_key=old)
    for _ in range(2):
        push(factories.draft(org).pk, actor=None)
    assert "not the pinned one" in deliver(row.pk).held
    for name, line in (("old.pub", old), ("new.pub", server.host_key)):
        (tmp_path / name).write_text(line + "\n")

    assert statuses(org) == [ExportStatus.PENDING, ExportStatus.PENDING]

    page.goto(address(live_server, row))
    page.click("text=Compare old and new key")
    pinned, shown = (
        page.locator(f"section[aria-labelledby={name}-heading]") for name in ("pinned", "presented")
    )
    expect(pinned).to_contain_text(fingerprint(tmp_path / "old.pub"))
    expect(shown).to_contain_text(fingerprint(tmp_path / "new.pub"))
    assert pinned.bounding_box()["y"] == shown.bounding_box()["y"]

    page.click("[name=pin]")
    expect(page.get_by_text("Nothing was pinned")).to_be_visible()
    assert ERPConnection.objects.get().config["host_key"] == old
    assert list((tmp_path / "root" / "in").iterdir()) == []

    page.get_by_label(fingerprint(tmp_path / "new.pub")).check()
    page.click("[name=pin]")
    expect(page.get_by_text("The connection works.")).to_be_visible()
    row.refresh_from_db()
    assert not row.circuit_open
    deliver(row.pk)
    assert statuses(org) == [ExportStatus.SENT, ExportStatus.SENT]


def statuses(org: Any) -> list[str]:
    return sorted(ERPExport.objects.for_org(org).values_list("status", flat=True))


def test_each_step_is_shown_as_soon_as_it_is_done(page, org, live_server, tmp_path):
    may_go_on = threading.Event()
    behaviour = Behaviour(interfere=lambda operation, path: None)
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    with asyncssh_server(tmp_path, behaviour=behaviour) as server:
        row = connected(org, server)
        behaviour.on_login = lambda: _wait(may_go_on)
        page.goto(address(live_server, row))
        page.click("text=Test connection")

        expect(page.locator(".step-ok")).to_have_count(2)
        expect(page.locator(".step-running")).to_contain_text("Login")
        expect(page.locator(".step-waiting")).to_have_count(4)
        may_go_on.set()
        expect(page.get_by_text("The connection works.")).to_be_visible()


def _wait(event: threading.Event) -> None:
    event.wait(5)


def test_only_the_fields_that_apply_are_shown(page, live_server):
    page.goto(live_server.url + reverse(ADD))

    expect(page.locator("#id_host")).to_be_visible()
    expect(page.locator("#id_via_host")).to_be_hidden()
    page.select_option("#id_via", "http_proxy")
    expect(page.locator("#id_via_password")).to_be_visible()
    expect(page.locator("#id_via_ssh_key")).to_be_hidden()
    page.select_option("#id_via", "jump_host")
    expect(page.locator("#id_via_ssh_key")).to_be_visible()
    page.select_option("#id_mode", "filesystem")
    for name in ("via", "via_host", "host", "port", "username", "password", "ssh_key", "host_key"):
        expect(page.locator(f"#id_{name}")).to_be_hidden()
    expect(page.locator("#id_export_path")).to_be_visible()


def test_without_javascript_everything_works_with_more_clicks(browser, org, live_server, openssh):
    server = openssh()
    context = browser.new_context(java_script_enabled=False)
    page = open_as(context, live_server.url, factories.user(org, Role.INTEGRATOR))

    page.goto(live_server.url + reverse(ADD))
    fill_in(page, server)
    page.fill("#id_ssh_key", server.client_key)
    page.click("[name=_save]")
    page.click("[value='Fetch host key']")
    page.check("[name=key]")
    page.click("[name=pin]")
    page.click("[value='Start the test']")

    expect(page.get_by_text("The connection works.")).to_be_visible()
    context.close()


def test_the_test_is_run_from_the_keyboard_alone(page, org, live_server, openssh):
    row = connected(org, openssh())
    page.goto(address(live_server, row, "erp_connection_test"))

    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to main content")
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#test-form') !== null"):
            break
    page.keyboard.press("Enter")

    expect(page.get_by_text("The connection works.")).to_be_visible()


def test_axe_finds_nothing_serious_and_nothing_sticks_out(page, org, live_server, openssh):
    server = openssh()
    row = connected(org, server, host_key=public_line(new_key()))

    page.goto(live_server.url + reverse(ADD))
    look_wide_and_narrow(page)
    page.click("[name=_save]")
    expect(page.locator(".errorlist").first).to_be_visible()
    look_wide_and_narrow(page)
    page.goto(address(live_server, row))
    look_wide_and_narrow(page)
    page.goto(address(live_server, row, "erp_connection_host_key"))
    follow(page, page.locator("[name=fetch]"))
    look_wide_and_narrow(page)
    page.goto(address(live_server, row, "erp_connection_test"))
    page.click("[value='Start the test']")
    expect(page.locator(".step-failed")).to_be_visible()
    look_wide_and_narrow(page)


def test_in_german_the_steps_that_stream_in_are_german_too(browser, org, live_server, openssh):
    row = connected(org, openssh(), ssh_key=new_key().export_private_key().decode())
    context = browser.new_context(locale="de-DE")
    page = open_as(context, live_server.url, factories.user(org, Role.INTEGRATOR))

    page.goto(address(live_server, row))
    page.click("text=Verbindung testen")

    expect(page.locator(".step-failed")).to_contain_text("Der Server hat die Anmeldung abgelehnt.")
    expect(page.locator(".step-failed")).to_contain_text("ERP-Seite")
    expect(page.locator("#erp-message")).to_have_value(
        re.compile("Bitte prüfen Sie, ob es diesen Benutzer gibt")
    )
    context.close()


def test_a_format_is_chosen_and_previewed_and_keeps_what_was_entered(page, live_server, org, tmp_path):
    draft = factories.draft(org, lines=2)
    page.goto(live_server.url + reverse(ADD))
    page.select_option("#id_mode", "sftp")
    page.fill("#id_host", "erp.example.com")
    page.fill("#id_password", "not lost")

    # By keyboard: the types are in alphabetical order.
    page.focus("#id_connector_type")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#id_columns")).to_be_visible()
    expect(page.locator("#id_host")).to_have_value("erp.example.com")
    expect(page.locator("#id_password")).to_have_value("not lost")

    page.fill("#id_columns", "Article = line.internal_sku\nQty = line.qty")
    page.select_option("#preview-order", str(draft.pk))
    page.focus("input[name=_preview]")
    page.keyboard.press("Enter")
    expect(page.locator("#preview-result pre")).to_have_text(
        "Article;Qty\nINT-0001;10.500\nINT-0002;10.500\n", use_inner_text=False
    )

    page.fill("#id_columns", "Article = line.price")
    page.press("input[name=_preview]", "Enter")
    expect(page.locator("#preview-result .errorlist")).to_contain_text("line.price")

    page.select_option("#id_mode", "filesystem")
    expect(page.locator("#id_host")).to_be_hidden()
    expect(page.locator("#id_columns")).to_have_value("Article = line.price")
    page.select_option("#id_connector_type", "DROPZONE_JSON_V1")
    expect(page.locator("#id_columns")).to_have_count(0)
    page.select_option("#id_connector_type", "DROPZONE_CSV_V1")
    expect(page.locator("#id_columns")).to_have_value("Article = line.price")
    look_wide_and_narrow(page)
    assert not ERPConnection.objects.exists()
