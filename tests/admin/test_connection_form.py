"""The form that a connector's description makes, and what becomes of secrets and keys in it."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors import registry
from erp_connectors.config_fields import ConfigError, ConfigField, Purpose
from erp_connectors.connection_config import config_fields
from erp_connectors.connectors.base import NoOptions
from erp_connectors.faults import HOST_KEY_CHANGED, Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections import manage
from erp_connectors.services.connections.connection_test import run_test
from erp_connectors.services.connections.host_keys import lacks_host_key
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import NoActiveConnection, push
from erp_connectors.sftp.key_pairs import new_private_key, public_half
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories
from tests.parts import require_program
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.ssh import new_key, private_text, public_line
from tests.services.delivery.test_second_connector import CsvConnector

ADD = "admin:erp_connectors_erpconnection_add"
SFTP = {
    "connector_type": "DROPZONE_JSON_V1", "status": "ACTIVE", "mode": "sftp", "host": "127.0.0.1", "port": "1",
    "username": "u", "password": "first-password", "export_path": "/in", "atomic_write": "on",
    "connect_timeout": "10", "io_timeout": "30",
}  # fmt: skip


HOP = {
    **SFTP, "via": "jump_host", "via_host": "127.0.0.1", "via_port": "1", "via_username": "j",
    "via_password": "hop-password",
}  # fmt: skip
FOLDER = {"status": "ACTIVE", "mode": "filesystem", "export_path": "/in", "atomic_write": "on"}


@pytest.fixture(autouse=True)
def _folders_are_allowed(settings):
    settings.DROPZONE_ROOTS = ["/"]


class ShelfConnector(CsvConnector):
    """A connector of another package: keys and a secret of its own."""

    type = "SHELF"

    def parse(self, raw: Mapping[str, Any]) -> NoOptions:
        if raw.get("depth", 1) > 5:
            raise ConfigError({"depth": "is more than five"})
        return NoOptions()

    def fields(self) -> Sequence[ConfigField]:
        ways = (("near", "Near by"), ("far", "Far away"))
        return [
            ConfigField("way", "string", True, None, "How.", choices=ways),
            ConfigField("depth", "integer", True, 3, "How deep.", label="Depth", minimum=1, maximum=9),
            ConfigField("pin_code", "string", False, None, "Secret.", secret=True),
        ]


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setitem(registry.CONNECTORS, "SHELF", "shelf.ShelfConnector")
    monkeypatch.setitem(sys.modules, "shelf", sys.modules[__name__])
    registry.connector_for.cache_clear()
    yield
    registry.connector_for.cache_clear()


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def client(org):
    logged_in = Client()
    logged_in.force_login(factories.user(org, Role.INTEGRATOR))
    return logged_in


def change(row):
    return reverse("admin:erp_connectors_erpconnection_change", args=[row.pk])


def errors(answer):
    return dict(answer.context["adminform"].form.errors)


def added(client, **values):
    answer = client.post(reverse(ADD), {**SFTP, **values})
    assert answer.status_code == 302, errors(answer)
    return ERPConnection.objects.get()


class TestAnotherConnector:
    def test_its_fields_come_from_its_own_description(self, client, shelf):
        page = client.get(reverse(ADD) + "?connector_type=SHELF").content.decode()

        assert 'name="depth"' in page
        assert 'value="3"' in page
        assert "Far away" in page
        assert 'name="host"' in page

    def test_it_is_saved_and_its_secret_kept(self, client, shelf):
        client.post(
            reverse(ADD),
            {"connector_type": "SHELF", **FOLDER, "way": "far", "depth": "2", "pin_code": "4711-x"},
        )
        row = ERPConnection.objects.get()
        stored = {"mode": "filesystem", "export_path": "/in", "atomic_write": True, "done_marker": False}
        assert (row.connector_type, row.config) == (
            "SHELF",
            {**stored, "way": "far", "depth": 2, "pin_code": "4711-x"},
        )

        answer = client.post(change(row), {**FOLDER, "way": "far", "depth": "4"})

        assert answer.status_code == 302
        assert ERPConnection.objects.get().config == {
            **stored,
            "way": "far",
            "depth": 4,
            "pin_code": "4711-x",
        }
        assert "4711-x" not in client.get(change(row)).content.decode()

    def test_each_wrong_field_is_told_at_its_place(self, client, shelf):
        def wrong(**values):
            return errors(client.post(reverse(ADD), {"connector_type": "SHELF", **FOLDER, **values}))

        assert set(wrong(way="near", depth="x", export_path="in")) == {"depth", "export_path"}
        assert wrong(way="near", depth="6") == {"depth": ["is more than five"]}
        assert set(wrong(way="beyond", depth="99")) == {"way", "depth"}

    def test_a_wrong_field_is_explained_in_the_readers_language(self, client):
        german = {"headers": {"accept-language": "de"}}

        found = errors(client.post(reverse(ADD), {**SFTP, "host": "a@b", "export_path": "in"}, **german))

        assert found == {
            "host": ["muss ein Hostname oder eine Adresse sein, sonst nichts"],
            "export_path": ["muss ein absoluter Pfad wie /dropzone/in sein, ohne „..“"],
        }


class TestATypeThatIsNotThere:
    def test_asked_for_in_an_address_the_usual_form_is_shown(self, client):
        assert 'name="host"' in client.get(reverse(ADD) + "?connector_type=NONE").content.decode()

    def test_posted_it_is_refused_at_its_field(self, client):
        answer = client.post(reverse(ADD), {**SFTP, "connector_type": "NONE"})

        assert "connector_type" in errors(answer)
        assert not ERPConnection.objects.exists()

    def test_a_connection_of_it_is_shown_explained_tested_and_disabled(self, client, org):
        row = ERPConnection.objects.create(org=org, connector_type="GONE", config={"a": "b"})
        listing = client.get(reverse("admin:erp_connectors_erpconnection_changelist"))
        page = client.get(change(row)).content.decode()

        assert "GONE" in listing.content.decode()
        assert "GONE" in page
        test = client.post(reverse("admin:erp_connection_test", args=[row.pk]), follow=True)
        assert "CONNECTOR_UNKNOWN" in test.content.decode()
        assert client.get(reverse("admin:erp_connection_host_key", args=[row.pk])).status_code == 404
        assert client.post(change(row), {"status": "DISABLED"}).status_code == 302
        row.refresh_from_db()
        assert (row.status, row.config) == ("DISABLED", {"a": "b"})

    def test_what_waits_on_it_is_held_with_the_reason(self, org):
        row = factories.connection(org, {"mode": "filesystem", "export_path": "/in", "ack_path": "/ack"})
        push(factories.draft(org).pk, actor=None)
        ERPConnection.objects.update(connector_type="GONE")

        assert "no connector type GONE" in deliver(row.pk).held
        assert "no connector type GONE" in poll(row.pk).error
        with pytest.raises(NoActiveConnection):
            push(factories.draft(org).pk, actor=None)


class TestSecrets:
    def test_it_says_since_when_each_is_set(self, client):
        row = added(client)
        assert row.secrets_set_at == {"password": ANY}
        since = row.secrets_set_at["password"]

        client.post(change(row), {**SFTP, "password": "", "export_path": "/out"})
        row.refresh_from_db()
        assert row.secrets_set_at == {"password": since}
        assert "Set on" in client.get(change(row)).content.decode()

    @pytest.mark.parametrize(
        "elsewhere",
        [{"host": "attacker.example"}, {"port": "2"}, {"port": ""}, {"username": "other"}],
        ids=str,
    )
    def test_it_is_asked_for_again_before_it_is_sent_elsewhere(self, client, elsewhere):
        row = added(client)

        answer = client.post(change(row), {**SFTP, "password": "", **elsewhere})

        assert errors(answer).keys() == {"password"}
        assert ERPConnection.objects.get().config == row.config
        assert client.post(change(row), {**SFTP, "password": "again", **elsewhere}).status_code == 302
        assert ERPConnection.objects.get().config["password"] == "again"

    def test_each_is_declared_as_sent_to_a_place_or_as_staying_here(self):
        stays = {
            Purpose.PRIVATE_KEY, Purpose.NEXT_PRIVATE_KEY, Purpose.PASSPHRASE, Purpose.HOP_PRIVATE_KEY,
            Purpose.HOP_PASSPHRASE,
        }  # fmt: skip
        for name in registry.CONNECTORS:
            described = {field.name: field for field in config_fields(name)}
            for field in described.values():
                assert set(field.sent_to) <= described.keys()
                assert bool(field.sent_to) == (field.secret and field.purpose not in stays), field.name

    def test_a_new_value_replaces_it(self, client):
        row = added(client)
        ERPConnection.objects.update(secrets_set_at={"password": "2020-01-01T00:00:00+00:00"})

        client.post(change(row), {**SFTP, "password": "second-password"})

        row.refresh_from_db()
        assert row.config["password"] == "second-password"
        assert row.secrets_set_at["password"] > "2021"

    def test_it_can_be_removed(self, client):
        row = added(client, ssh_key=new_private_key())

        client.post(change(row), {**SFTP, "password": "", "password-clear": "on"})

        row.refresh_from_db()
        assert "password" not in row.config
        assert set(row.secrets_set_at) == {"ssh_key"}

    def test_the_last_way_to_log_in_is_not_removed(self, client):
        row = added(client)

        answer = client.post(change(row), {**SFTP, "password": "", "password-clear": "on"})

        assert "password" in errors(answer)
        assert ERPConnection.objects.get().config["password"] == "first-password"

    def test_removing_and_entering_at_once_is_a_question_not_a_guess(self, client):
        row = added(client)

        answer = client.post(change(row), {**SFTP, "password": "typed-now", "password-clear": "on"})

        assert "Choose one" in errors(answer)["password"][0]
        assert "typed-now" not in answer.content.decode()

    def test_a_key_that_can_not_be_read_is_told_before_it_is_saved(self, client):
        encrypted = private_text(new_key(), "the passphrase")

        assert "ssh_key" in errors(client.post(reverse(ADD), {**SFTP, "ssh_key": "no key"}))
        missing = client.post(reverse(ADD), {**SFTP, "ssh_key": encrypted})
        assert "its passphrase is missing" in errors(missing)["ssh_key"][0]
        added(client, ssh_key=encrypted, ssh_key_passphrase="the passphrase")

    def test_a_key_as_puttygen_saves_it_is_taken(self, client):
        key = (Path(__file__).parents[1] / "sftp" / "putty" / "rsa-v3-phrase.ppk").read_text()

        missing = client.post(reverse(ADD), {**SFTP, "ssh_key": key})
        assert "its passphrase is missing" in errors(missing)["ssh_key"][0]
        row = added(client, ssh_key=key.replace("\n", "\r\n"), ssh_key_passphrase="phrase")
        assert public_half(row.config["ssh_key"], "phrase").startswith("ssh-rsa ")


class TestJumpHostOrProxy:
    @pytest.mark.parametrize(
        ("elsewhere", "asked"),
        [
            ({"via_host": "attacker.example"}, {"password", "via_password"}),
            ({"via_port": "2"}, {"password", "via_password"}),
            ({"via_username": "other"}, {"via_password"}),
            ({"via": "http_proxy"}, {"password", "via_password"}),
            ({"via": "direct"}, {"password"}),
            ({"host": "attacker.example"}, {"password"}),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_secrets_are_asked_for_again_before_they_are_sent_elsewhere(self, client, elsewhere, asked):
        row = added(client, **HOP)

        answer = client.post(change(row), {**HOP, "password": "", "via_password": "", **elsewhere})

        assert errors(answer).keys() == asked
        assert ERPConnection.objects.get().config == row.config
        again = {**HOP, "password": "again", "via_password": "again", **elsewhere}
        assert client.post(change(row), again).status_code == 302

    def test_untouched_secrets_are_kept_and_never_shown(self, client):
        row = added(client, **HOP)

        client.post(change(row), {**HOP, "password": "", "via_password": "", "export_path": "/out"})

        row.refresh_from_db()
        assert (row.config["password"], row.config["via_password"]) == ("first-password", "hop-password")
        assert "hop-password" not in client.get(change(row)).content.decode()

    def test_what_does_not_apply_is_dropped(self, client):
        row = added(client, **HOP)

        client.post(change(row), {**HOP, "via": "direct"})
        row.refresh_from_db()
        assert {name for name in row.config if name.startswith("via")} == {"via"}

        client.post(
            change(row), {**HOP, "via": "socks5_proxy", "via_ssh_key": "left over", "via_host_key": "x"}
        )
        row.refresh_from_db()
        assert {name for name in row.config if name.startswith("via")} == {
            "via", "via_host", "via_port", "via_username", "via_password"
        }  # fmt: skip

    def test_each_wrong_field_is_told_at_its_place(self, client):
        wrong = {**HOP, "via_host": "", "via_username": "", "via_ssh_key": "no key"}

        assert errors(client.post(reverse(ADD), wrong)).keys() == {"via_host", "via_username", "via_ssh_key"}

    def test_a_pair_is_made_for_a_jump_host_and_its_public_half_shown(self, client):
        row = added(client, **{**HOP, "via_password": "", "via_ssh_key-generate": "on"})

        assert public_half(row.config["via_ssh_key"], None) in client.get(change(row)).content.decode()
        assert "ssh_key" not in row.config

    def test_the_form_says_to_its_script_when_each_field_applies(self, client):
        page = client.get(reverse(ADD)).content.decode()

        assert 'data-applies-if="via" data-applies-values="jump_host http_proxy socks5_proxy"' in page
        assert 'data-applies-if="via" data-applies-values="jump_host"' in page


class TestKeyPair:
    def test_it_is_made_here_and_only_its_public_half_is_shown(self, client, tmp_path):
        row = added(client, **{"password": "", "ssh_key-generate": "on"})
        private, shown = row.config["ssh_key"], client.get(change(row)).content.decode()

        (tmp_path / "key").write_text(private)
        (tmp_path / "key").chmod(0o600)
        told = subprocess.run(
            [require_program("ssh-keygen"), "-yf", tmp_path / "key"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert public_half(private, None).split()[:2] == told.stdout.split()[:2]
        assert public_half(private, None) in shown
        assert private.splitlines()[2] not in shown

    def test_a_new_pair_drops_the_old_keys_passphrase(self, client):
        row = added(client, ssh_key=private_text(new_key(), "old one"), ssh_key_passphrase="old one")

        client.post(change(row), {**SFTP, "password": "", "ssh_key-generate": "on"})

        row.refresh_from_db()
        assert "ssh_key_passphrase" not in row.config
        assert public_half(row.config["ssh_key"], None).startswith("ssh-ed25519 ")


class TestHostKeys:
    def test_a_line_that_is_no_key_is_told_at_the_field(self, client):
        answer = client.post(reverse(ADD), {**SFTP, "host_key": "ssh-ed25519 AAAA"})

        assert "is not a public key" in errors(answer)["host_key"][0]

    def test_pinning_is_recorded_with_what_was_pinned_before(self, client):
        old, new = public_line(new_key()), public_line(new_key())
        row = added(client, host_key=old)

        client.post(change(row), {**SFTP, "host_key": new})

        last = AuditLog.objects.filter(action=Action.HOST_KEY_PINNED).order_by("-created_at").first()
        assert last.before["fingerprints"] != last.after["fingerprints"]
        assert all(one.startswith("ssh-ed25519 SHA256:") for one in last.after["fingerprints"])

    def test_a_forged_confirmation_without_a_key_pins_nothing(self, client):
        row = added(client)
        page = reverse("admin:erp_connection_host_key", args=[row.pk])

        answer = client.post(page, {"pin": "x", "key": "not a key", "shown": public_line(new_key())})

        assert "Nothing was pinned" in answer.content.decode()
        assert "host_key" not in ERPConnection.objects.get().config

    def test_a_server_that_can_not_be_reached_is_explained(self, client):
        row = added(client)

        answer = client.post(reverse("admin:erp_connection_host_key", args=[row.pk]), {"fetch": "x"})

        assert "refused the TCP connection" in answer.content.decode()
        assert "ERP side" in answer.content.decode()

    def test_a_jump_host_has_its_own(self, client, org, tmp_path):
        with asyncssh_server(tmp_path) as server, asyncssh_server(tmp_path) as jump:
            config = server.config(host_key=None, **jump.hop_config(via_host_key=None))
            row = factories.connection(org, config)
            page = reverse("admin:erp_connection_host_key", args=[row.pk])
            of_jump = f"{page}?of=via_host_key"

            assert f'action="{of_jump}"' in client.get(change(row)).content.decode()
            assert "?of=via_host_key" in client.get(page).content.decode()
            shown = client.post(of_jump, {"fetch": "x"}).content.decode()
            assert jump.host_key in shown
            assert server.host_key not in shown
            through = client.post(page, {"fetch": "x"}).content.decode()
            assert f"jump host 127.0.0.1:{jump.port}" in through, "not before its key is pinned"
            assert client.post(of_jump, {"pin": "x", "key": jump.host_key}).status_code == 302

        row.refresh_from_db()
        assert (row.config["via_host_key"], row.config.get("host_key")) == (jump.host_key, None)
        last = AuditLog.objects.get(action=Action.HOST_KEY_PINNED)
        assert last.after["changed"] == ["via_host_key"]
        assert client.get(f"{page}?of=next_host_key").status_code == 404

    def test_orders_wait_until_that_of_the_jump_host_is_pinned(self, org, tmp_path):
        with asyncssh_server(tmp_path) as server:
            config = server.config(**server.hop_config(via_host_key=None))
        row = factories.connection(org, config)

        assert lacks_host_key(row)
        manage.change_connection(row.pk, actor=None, config={**config, "via_host_key": server.host_key})
        assert not lacks_host_key(ERPConnection.objects.get())

    def test_a_folder_has_none(self, client, org):
        row = factories.connection(org, {"mode": "filesystem", "export_path": "/in"})

        assert client.get(reverse("admin:erp_connection_host_key", args=[row.pk])).status_code == 404
        assert (
            "Fetch host key"
            not in client.get(change(row)).content.decode().split('<form method="post" id=')[0]
        )


@pytest.mark.parametrize("page", ["erp_connection_test", "erp_connection_host_key"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_pages_are_the_own_orgs_and_need_the_right_to_connect(client, page, method, org):
    row = added(client)
    address, ask = reverse(f"admin:{page}", args=[row.pk]), method
    stranger, operator = Client(), Client()
    stranger.force_login(factories.user(factories.org(), Role.ADMIN))
    operator.force_login(factories.user(org, Role.OPS))

    assert getattr(stranger, ask)(address).status_code == 404
    assert getattr(operator, ask)(address).status_code == 403
    assert ERPConnection.objects.get().last_test_at is None


def test_a_test_is_streamed_line_by_line_and_recorded_with_its_author(client, org):
    row = added(client)

    answer = client.post(
        reverse("admin:erp_connection_test", args=[row.pk]), headers={"accept": "application/x-ndjson"}
    )
    lines = b"".join(answer.streaming_content).decode().splitlines()

    assert len(lines) == 5 + 1 + 1  # planned, done, outcome
    assert "CONNECTION_REFUSED" in lines[5]
    report = ERPConnection.objects.get().test_report
    assert report["by"].endswith("@example.com")
    assert AuditLog.objects.get(action=Action.CONNECTION_TESTED).ip == "127.0.0.1"


def test_the_mail_before_any_test_asks_for_what_is_needed(client):
    row = added(client, **{"password": "", "ssh_key-generate": "on"})

    page = client.get(reverse("admin:erp_connection_test", args=[row.pk])).content.decode()

    assert public_half(row.config["ssh_key"], None) in page
    assert "BEGIN OPENSSH" not in page


def again(row: ERPConnection) -> ERPConnection:
    return ERPConnection.objects.get(pk=row.pk)


def test_a_change_of_the_settings_removes_the_result_of_the_last_test(client):
    row = added(client)
    client.post(reverse("admin:erp_connection_test", args=[row.pk]))
    assert again(row).last_test_success is False

    client.post(change(row), {**SFTP, "password": "", "export_path": "/out"})

    assert (again(row).last_test_at, again(row).last_test_success, again(row).test_report) == (
        None,
        None,
        None,
    )
    assert "Not tested with these settings" in client.get(change(row)).content.decode()
    assert client.get(reverse("admin:erp_connection_test", args=[row.pk])).context["report"] is None


def test_the_result_for_settings_that_were_changed_meanwhile_is_not_recorded(client):
    row = added(client)
    steps = run_test(row.pk, actor=None)
    next(steps)

    client.post(change(row), {**SFTP, "password": "", "export_path": "/out"})
    list(steps)

    assert again(row).test_report is None


def test_a_changed_host_key_that_only_a_poll_has_met_is_put_before_a_person(client):
    row = added(client)
    reason = Fault(HOST_KEY_CHANGED).as_error(stage="ack", attempt=0, at=timezone.now())
    ERPConnection.objects.filter(pk=row.pk).update(poll_error={**reason, "since": reason["time"]})

    assert "until the server's new host key" in client.get(change(row)).content.decode()

    key = public_line(new_key())
    client.post(reverse("admin:erp_connection_host_key", args=[row.pk]), {"pin": "x", "key": key})
    assert "until the server's new host key" not in client.get(change(row)).content.decode()


def test_a_test_that_nobody_waits_for_any_more_ends_and_is_not_recorded(client, org, tmp_path):
    behaviour = Behaviour()
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    with asyncssh_server(tmp_path, behaviour=behaviour) as server:
        row = factories.connection(org, server.config())
        address = reverse("admin:erp_connection_test", args=[row.pk])
        answer = client.post(address, headers={"accept": "application/x-ndjson"})
        lines = iter(answer.streaming_content)
        while b"step-ok" not in next(lines):
            pass
        _until(lambda: behaviour.connections == 1)

        answer._iterator.close()  # Django's client closes the response with it, and spares the test's database
        _until(lambda: behaviour.connections == 0)

    assert ERPConnection.objects.get().last_test_at is None


def _until(happened: Callable[[], bool]) -> None:
    for _ in range(200):
        if happened():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")
