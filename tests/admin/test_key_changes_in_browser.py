"""Planning a change of keys as a person does it, in Chromium, against a real SSH server."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from erp_connectors import sessions
from erp_connectors.models import ERPConnection
from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import DESKTOP, PHONE, follow, look
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.ssh import new_key, public_line

pytestmark = pytest.mark.deep


def day(days):
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def picture(page, name):
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def behaviour():
    return Behaviour()


@pytest.fixture
def server(tmp_path, behaviour):
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    with asyncssh_server(tmp_path, behaviour=behaviour) as running:
        yield running
    sessions.session_pool.close()


@pytest.fixture
def page(as_user, org):
    return as_user(factories.user(org, Role.INTEGRATOR))


def address(live_server, row, what="erp_connectors_erpconnection_change"):
    return live_server.url + reverse(f"admin:{what}", args=[row.pk])


def test_our_key_is_renewed_beside_the_old_one_and_the_page_says_which_counts(
    page, org, live_server, server, behaviour
):
    row = factories.connection(org, server.config(password=None))
    old = row.config["ssh_key"]
    page.goto(address(live_server, row))
    page.get_by_text("Planned change of keys").click()
    page.check("[name=next_ssh_key-generate]")
    follow(page, page.locator("[name=_save]"))
    page.goto(address(live_server, row))
    public = page.inner_text("#next-public-key")
    expect(page.get_by_text("The server has not accepted it yet")).to_be_visible()
    look(page)
    picture(page, "renewal")

    page.click("text=Test connection")
    expect(page.get_by_text("the server does not accept the new key yet").first).to_be_visible()
    assert ERPConnection.objects.get(pk=row.pk).config["ssh_key"] == old

    behaviour.trusted.append(public)
    page.click("#test-form [type=submit]")
    expect(page.get_by_text("with the new key ssh-ed25519").first).to_be_visible()
    # The step is shown as soon as it is done; which key counts is settled with the verdict.
    expect(page.locator(".verdict-ok")).to_be_visible()
    page.goto(address(live_server, row))
    expect(page.locator("#next-public-key")).to_have_count(0)
    assert page.inner_text("#own-public-key") == public
    config = ERPConnection.objects.get(pk=row.pk).config
    assert (config["ssh_key"] != old, "next_ssh_key" in config) == (True, False)


def test_an_announced_key_reminders_and_weak_encryption_are_seen_everywhere(page, org, live_server, server):
    row = factories.connection(org, server.config(legacy_algorithms=True))
    page.goto(address(live_server, row))
    page.get_by_text("Planned change of keys").click()
    page.fill("[name=next_host_key]", public_line(new_key()))
    page.fill("[name=next_host_key_from]", day(3))
    page.fill("[name=next_host_key_until]", day(10))
    page.get_by_text("Reminders").click()
    page.fill("[name=password_expires]", day(7))
    follow(page, page.locator("[name=_continue]"))

    for window, name in ((DESKTOP, "desktop"), (PHONE, "phone")):
        page.set_viewport_size(window)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(address(live_server, row))
            for told in ("Needs attention soon", "in 7 days", "valid from", "not today"):
                expect(page.get_by_text(told).first).to_be_visible()
            look(page)
            picture(page, f"connection-{name}-{scheme}")
            page.goto(f"{live_server.url}/admin/")
            expect(page.get_by_text("A key or password expires soon").first).to_be_visible()
            expect(page.get_by_text("The connection allows outdated encryption").first).to_be_visible()
            look(page)
            picture(page, f"overview-{name}-{scheme}")
    page.goto(live_server.url + reverse("admin:erp_connectors_erpconnection_changelist"))
    expect(page.get_by_text("in 7 days")).to_be_visible()
    look(page)
    picture(page, "list-phone")
    page.set_viewport_size(DESKTOP)
    picture(page, "list-desktop")
    config = ERPConnection.objects.get(pk=row.pk).config
    assert (config["password_expires"], config["next_host_key_from"]) == (day(7), day(3))


def test_a_date_before_the_other_is_told_at_its_field(page, org, live_server, server):
    row = factories.connection(org, server.config())
    page.goto(address(live_server, row))
    page.get_by_text("Planned change of keys").click()
    page.fill("[name=next_host_key]", public_line(new_key()))
    page.fill("[name=next_host_key_from]", day(3))
    page.fill("[name=next_host_key_until]", day(1))
    follow(page, page.locator("[name=_save]"))

    expect(page.get_by_text("is before the first day")).to_be_visible()
