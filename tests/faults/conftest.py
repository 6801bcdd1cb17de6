"""A connection to a real server, and what becomes of an order on it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from erp_connectors import faults
from erp_connectors.fault_records import english_cause
from erp_connectors.faults import Scope
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.port_types import ProbeStep
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus
from tests import factories
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.ssh import SshServer

HERE = f"{Path(__file__).parent}{os.sep}"
QUICK = {"connect_timeout": 1.5, "io_timeout": 1.5}


@pytest.hookimpl(tryfirst=True)  # before `tests.plugin` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(HERE):
            item.add_marker(pytest.mark.not_of_database)


@dataclass
class Erp:
    """One org's connection, as its operator sees it."""

    connection: ERPConnection
    server: SshServer

    def push(self) -> ERPExport:
        order = factories.draft(self.connection.org)
        export: ERPExport = push_many([order.pk], actor=None)[order.pk].export
        return export

    def delivered(self) -> ERPExport:
        """An order after one attempt."""
        export = self.push()
        deliver(self.connection.pk)
        export.refresh_from_db()
        return export

    def probed(self) -> ProbeStep:
        """The last step of its connection test that can fail."""
        return [
            step for step in run_test(self.connection.pk, actor=None) if step.name != "server_capabilities"
        ][-1]

    def published(self) -> list[str]:
        return sorted(path.name for path in (self.server.root / "in").iterdir() if path.suffix == ".json")

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in (self.server.root / "in").iterdir() if path.suffix == ".tmp")

    def waits_no_longer(self) -> None:
        past = timezone.now()
        ERPConnection.objects.filter(pk=self.connection.pk).update(retry_at=past)
        ERPExport.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=past)


MakeErp = Callable[..., Erp]


@pytest.fixture
def erp_at(db: None) -> MakeErp:
    def make(server: SshServer, **config: Any) -> Erp:
        for folder in ("in", "ack"):
            (server.root / folder).mkdir(exist_ok=True)
        values = {key: value for key, value in server.config(**config).items() if value is not None}
        return Erp(factories.connection(factories.org(), values), server)

    return make


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def asyncssh(tmp_path: Path, behaviour: Behaviour) -> Iterator[SshServer]:
    with asyncssh_server(_folder(tmp_path / "root"), behaviour=behaviour) as server:
        yield server


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[Callable[..., SshServer]]:
    """Start an sshd with more lines in its configuration."""
    running = []

    def start(extra: str = "", **options: Any) -> SshServer:
        folders = _folder(tmp_path / "root"), _folder(tmp_path / "sshd")
        running.append(openssh_server(*folders, extra=extra, **options))
        server: SshServer = running[-1].__enter__()
        return server

    yield start
    for server in reversed(running):
        server.__exit__(None, None, None)


def told(fault: "faults.Fault | dict[str, Any] | None", code: str) -> None:
    """A person reads this code, its meaning and what to do."""
    kind = faults.FAULT_KINDS[code]
    assert fault
    error = fault if isinstance(fault, dict) else fault.as_error(stage="", attempt=1, at=timezone.now())
    assert error["code"] == code
    assert kind.meaning in english_cause(error)


def assert_told(erp: Erp, code: str, *, step: str) -> str:
    """By the connection test at this step, and by a delivery, which then does what the kind of fault asks for."""
    probed = erp.probed()
    assert (probed.name, probed.fault and probed.fault.code) == (step, code)
    told(probed.fault, code)

    export = erp.delivered()

    told(export.error_json, code)
    erp.connection.refresh_from_db(fields=["circuit_opened_at", "circuit_reason"])
    of_the_connection = faults.FAULT_KINDS[code].scope is Scope.CONNECTION
    assert erp.connection.circuit_open == of_the_connection
    assert (export.status, export.attempts) == (ExportStatus.PENDING, 1)
    if of_the_connection:
        assert export.next_attempt_at is None, "it waits with the others"
        told(erp.connection.circuit_reason, code)
    else:
        erp.connection.refresh_from_db(fields=["retry_at"])
        due = export.next_attempt_at or erp.connection.retry_at
        assert due
        assert due > timezone.now()
    return english_cause(export.error_json)


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path
