"""Failing costs nothing that lasts: no thread, no descriptor, no session left on the server, however often."""

import threading
import time
from pathlib import Path
from typing import Any

import asyncssh as ssh
import pytest

from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.sessions import session_pool
from tests.faults.conftest import QUICK
from tests.servers.asyncssh_server import DropConnection
from tests.servers.gate import SILENT, gate
from tests.servers.ssh import free_port, new_key, private_text, public_line

pytestmark = pytest.mark.deep

ATTEMPTS = 200


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settled(count, wanted):
    """Threads and sockets end a moment after they were closed."""
    for _ in range(600):
        if count() <= wanted:
            break
        time.sleep(0.1)
    return count()


def lose(operation, name):
    raise DropConnection


def refuse(operation, name):
    raise ssh.SFTPFailure("No space left on device")


@pytest.mark.timeout(600)
def test_200_failures_leave_nothing_behind(erp_at, asyncssh, behaviour):
    with gate(asyncssh.port) as silent:
        silent.choke(SILENT)
        secret = {"ssh_key": None, "password": "wrong"}
        kinds: list[tuple[dict[str, Any], Any]] = [
            ({"port": free_port()}, None),
            ({"host_key": public_line(new_key())}, None),
            (secret, None),
            ({"ssh_key": private_text(new_key(), "x")}, None),
            ({"export_path": "/nowhere"}, None),
            ({}, lose),
            ({}, refuse),
            ({"port": silent.port, "connect_timeout": 0.2}, None),
        ]
        erps = [(erp_at(asyncssh, **{**QUICK, **config}), interfere) for config, interfere in kinds]
        attempt_all(erps, behaviour, times=1)
        threads, files = threading.active_count(), descriptors()

        attempt_all(erps, behaviour, times=ATTEMPTS // len(kinds))

        session_pool.close()
        assert settled(lambda: behaviour.connections, 0) == 0
        silent.close()
        assert settled(threading.active_count, threads) <= threads
        assert settled(descriptors, files) <= files


def attempt_all(erps, behaviour, *, times):
    """Turn by turn a connection test and a delivery of each."""
    for attempt in range(times):
        for erp, interfere in erps:
            behaviour.interfere = interfere
            if attempt % 2:
                assert not run_test(erp.connection.pk, actor=None)[-1].ok
            else:
                erp.push()
                erp.waits_no_longer()
                assert not deliver(erp.connection.pk).is_clean
