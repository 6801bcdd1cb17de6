from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.asyncssh_server import asyncssh_server
from tests.servers.ssh import SshServer
from tests.tenants.twins import Twin, bare_twins, shared_config, twins


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with asyncssh_server(tmp_path) as running:
        yield running


@pytest.fixture
def both(db: None, server: SshServer) -> tuple[Twin, Twin]:
    """With the same folders of the same server, by the same login."""
    return bare_twins(shared_config(server))


@pytest.fixture
def full(db: None, server: SshServer, settings: Any) -> tuple[Twin, Twin]:
    """The same, with something in every table."""
    settings.SECURE_SSL_REDIRECT = False
    return twins(shared_config(server), "https://hooks.example.com/orders", server)
