"""Moving every connection to a new master key, beside a system that goes on working."""

import secrets
import threading

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection as database

from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.notifications import subscriptions
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.services.connections import key_rotation
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.secrets.crypto import seal
from orderflow.secrets.fields import Sealed, reseal
from orderflow.secrets.key_ring import key_ring
from orderflow.tenancy import scope
from tests import factories

SECRET = "the ERP's password"


@pytest.fixture
def new_key(settings):
    """A deployment whose key was just replaced, the old one still in its ring."""
    settings.ENCRYPTION_PREVIOUS_KEYS = [django_settings.ENCRYPTION_MASTER_KEY]

    def replace():
        settings.ENCRYPTION_MASTER_KEY = secrets.token_hex(32)
        return key_ring()[0].id

    return replace


@pytest.fixture
def connections(db):
    return [factories.connection(factories.org(), {"password": SECRET}) for _ in range(5)]


def test_afterwards_no_row_needs_the_old_key(connections, new_key, settings):
    key = new_key()

    report = key_rotation.rotate()

    settings.ENCRYPTION_PREVIOUS_KEYS = []
    assert (report.resealed, report.by_key, report.finished) == (5, {key: 5}, True)
    assert {row.config["password"] for row in ERPConnection.objects.all()} == {SECRET}
    assert f"No row needs an older key: all 5 are sealed with key {key}" in report.lines()[-1]


def test_nothing_about_a_connection_changes_but_its_seal(connections, new_key):
    before = ERPConnection.objects.values_list("pk", "updated_at", "secrets_set_at").order_by("pk")
    new_key()
    told = list(before)

    key_rotation.rotate()

    assert list(before.all()) == told


def test_it_is_in_the_audit_log_of_each_org_without_any_secret(connections, new_key):
    old, new = key_ring()[0].id, new_key()

    key_rotation.rotate()

    entries = AuditLog.objects.filter(action=Action.KEYS_ROTATED)
    assert {entry.org_id for entry in entries} == {row.org_id for row in connections}
    assert {(entry.before["key"], entry.after["key"]) for entry in entries} == {(old, new)}


@pytest.mark.parametrize("page", [1, 2, 100])
def test_stopped_anywhere_it_goes_on_from_there(connections, new_key, monkeypatch, page):
    monkeypatch.setattr(key_rotation, "PAGE", page)
    key = new_key()

    def stop(done):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        key_rotation.rotate(done=stop)
    halfway = key_rotation.rotation_status()
    rest = key_rotation.rotate()

    assert (halfway.by_key[key], halfway.finished) == (3, False)
    assert "Older keys are still needed" in halfway.lines()[-1]
    assert (rest.resealed, rest.finished) == (2, True)


def test_a_row_whose_key_is_lost_is_named_and_holds_up_no_other(connections, new_key, settings):
    lost = connections[2]
    usual = settings.ENCRYPTION_MASTER_KEY
    settings.ENCRYPTION_MASTER_KEY = secrets.token_hex(32)
    lost.config = {"password": SECRET}
    lost.save()
    settings.ENCRYPTION_MASTER_KEY = usual
    new_key()

    report = key_rotation.rotate()

    assert (report.resealed, report.finished) == (4, False)
    assert [(row.kind, row.row_id) for row in report.unreadable] == [("Connection", lost.pk)]
    assert f"{lost.pk} can't be read: it was written with key" in report.lines()[1]
    with pytest.raises(Fault) as caught:
        assert ERPConnection.objects.get(pk=lost.pk).config
    assert (caught.value.code, caught.value.detail.params["why"].code) == (
        "CONFIG_UNREADABLE",
        "secret.unknown_key",
    )


@pytest.mark.parametrize("saved_with", [0, 1], ids=["the new key", "the old key"])
def test_what_somebody_saves_meanwhile_stays(connections, new_key, monkeypatch, saved_with):
    changed = connections[1].pk
    saved: list[int] = []
    key = new_key()

    def while_somebody_saves(stored, *, ring, org_id, place):
        if place.row_id == changed and not saved:
            newer = seal(b'{"password":"newer"}', key=ring[saved_with], org_id=org_id, place=place)
            saved.append(ERPConnection.objects.filter(pk=changed).update(config=Sealed(newer)))
        return reseal(stored, ring=ring, org_id=org_id, place=place)

    monkeypatch.setattr(key_rotation, "reseal", while_somebody_saves)

    report = key_rotation.rotate()

    assert saved == [1]
    assert ERPConnection.objects.get(pk=changed).config == {"password": "newer"}
    assert report.by_key == {key: 5}


@pytest.mark.django_db(transaction=True)
def test_pushes_go_on_meanwhile(new_key, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    orgs = [factories.org() for _ in range(20)]
    for org in orgs:
        (tmp_path / org.slug).mkdir()
        factories.connection(org, {"mode": "filesystem", "export_path": str(tmp_path / org.slug)})
    drafts = [factories.draft(org) for org in orgs]
    failures = []

    @scope.everything()
    def deliver_all():
        try:
            for draft in drafts:
                export = push(draft.pk, actor=None).export
                deliver(export.connection_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test must hear of it
            failures.append(error)
        finally:
            database.close()

    new_key()
    worker = threading.Thread(target=deliver_all)
    worker.start()
    resealed = key_rotation.rotate().resealed
    worker.join()

    assert failures == []
    assert resealed == 20
    assert set(ERPExport.objects.values_list("status", flat=True)) == {ExportStatus.SENT}
    assert [len(list((tmp_path / org.slug).iterdir())) for org in orgs] == [1] * 20


def test_the_command_says_what_is_needed_and_ends_accordingly(connections, new_key, capsys):
    old, new = key_ring()[0].id, new_key()

    with pytest.raises(SystemExit) as ended:
        call_command("rotate_encryption_key", "--check")
    assert ended.value.code == 1
    assert f"Older keys are still needed, with the rows that need each: {old} (5)." in capsys.readouterr().out

    call_command("rotate_encryption_key", "--json")
    assert f'"by_key":{{"{new}":5}}' in capsys.readouterr().out
    call_command("rotate_encryption_key", "--check")


def test_a_generated_key_is_a_good_one_and_never_the_same(capsys, settings, connections):
    keys = []
    for _ in range(2):
        call_command("generate_key")
        keys.append(capsys.readouterr().out.strip())

    assert len(set(keys)) == 2
    settings.ENCRYPTION_PREVIOUS_KEYS = [settings.ENCRYPTION_MASTER_KEY]
    settings.ENCRYPTION_MASTER_KEY = keys[0]
    assert key_rotation.rotate().finished


def test_a_connection_saved_in_the_usual_way_moves_by_itself(db, new_key, settings, tmp_path):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    config = {"mode": "filesystem", "export_path": str(tmp_path)}
    row = factories.connection(factories.org(), config)
    key = new_key()

    change_connection(row.pk, actor=None, config={**config, "ack_timeout": 3600})

    assert key_rotation.keys_in_use() == {key: 1}


def test_the_secrets_of_webhooks_are_moved_along(db, new_key, settings):
    of = factories.org()
    rows = [
        Subscription(org=of, channel=Channel.WEBHOOK, url="https://hooks.example.com/"),
        Subscription(org=of, addresses="a@example.com"),
    ]
    for row in rows:
        subscriptions.create(row, actor=factories.user(of))
    secret = rows[0].secrets["current"]
    key = new_key()

    report = key_rotation.rotate()

    settings.ENCRYPTION_PREVIOUS_KEYS = []
    assert (report.resealed, report.by_key) == (2, {key: 2})
    assert Subscription.objects.get(pk=rows[0].pk).secrets["current"] == secret
