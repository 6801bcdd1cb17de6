"""What a connection test writes is never taken for an order, and does not stay."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.dropzone_paths import probe_name
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from orderflow import clock
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.services.delivery.test_deliver import pushed


@pytest.fixture
def server(site, tmp_path):
    """Its behaviour, whose log names every file that was written, renamed or removed."""
    root = tmp_path / "server"
    for folder in ("in", "ack"):
        (root / folder).mkdir(parents=True)
    behaviour = Behaviour()
    with asyncssh_server(root, behaviour=behaviour) as running:
        site.connection.config = running.config()
        site.connection.save()
        yield behaviour


@pytest.mark.parametrize("atomic", [True, False])
def test_every_name_of_a_test_ends_as_readers_ignore_it(site, server, atomic):
    site.connection.config = {**site.connection.config, "atomic_write": atomic}
    site.connection.save()

    assert all(step.ok for step in run_test(site.connection.pk, actor=None))

    touched = [line for line in server.log if "/" in line]
    assert any("rename" in line for line in touched)
    assert {line.rpartition(".")[2] for line in touched} == {"tmp"}


def test_every_name_of_a_test_has_the_time_of_the_databases_clock(site, server, monkeypatch):
    """By that clock another host decides whether a file is left over."""
    behind = timezone.now() - timedelta(hours=5)
    monkeypatch.setattr(clock, "now", lambda: behind)

    run_test(site.connection.pk, actor=None)

    stamps = {stamp for line in server.log for stamp in re.findall(r"test_connection_(\d{8}_\d{2})", line)}
    assert stamps == {f"{behind:%Y%m%d_%H}"}


def test_a_probe_of_a_held_connection_publishes_nothing(site, server):
    pushed(site, 1)
    ERPConnection.objects.update(circuit_opened_at=timezone.now(), circuit_reason={"code": "DISK_FULL"})

    assert deliver(site.connection.pk).sent == 1

    tests = [line.split()[0] for line in server.log if "test_connection" in line]
    assert tests == ["open", "remove"]


def test_what_an_interrupted_test_left_goes_with_the_next_sweep_and_poll(site):
    now = timezone.now()
    old, running = (probe_name("renamed", now=now - timedelta(minutes=minutes)) for minutes in (61, 5))
    others = ["test_connection_notes.tmp", "test_connection_20261301_000000_000000_x.tmp", "mine.tmp"]
    for folder in (site.inbox, site.acks):
        for name in (old, running, *others):
            (folder / name).touch()
    pushed(site, 1)
    ERPConnection.objects.update(last_success_at=now - timedelta(days=1))

    deliver(site.connection.pk)
    poll(site.connection.pk)

    for folder in (site.inbox, site.acks):
        left = {path.name for path in folder.iterdir() if path.suffix == ".tmp"}
        assert left == {running, *others}
