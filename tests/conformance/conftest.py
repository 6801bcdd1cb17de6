"""One suite, every transport: each gets a folder that the test can also look into from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from erp_connectors.testing import Place
from erp_connectors.transports.base import Transport, TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.proftpd import proftpd_server
from tests.servers.rclone_sftp import rclone_sftp_server
from tests.servers.ssh import SshServer

POLICY = TransportPolicy(sftp_loopback=True)


class _Places:
    """Servers start once for the session; each test gets a new folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self.servers: dict[str, SshServer] = {}
        self.count = 0

    def make(self, kind: str) -> Place:
        self.count += 1
        name = f"test{self.count}"
        if kind == "filesystem":
            root = self.folder / name
            root.mkdir()
            policy = TransportPolicy(dropzone_roots=(str(root),))
            return Place(lambda: FilesystemTransport(FilesystemOptions(), policy), root, str(root))
        if kind not in self.servers:
            self.servers[kind] = self._start(kind)
        server = self.servers[kind]
        root = server.root / name
        root.mkdir()
        options = server.options(hop=self._jump_host().as_hop() if kind == "jump-host" else None)
        connect = lambda: SftpTransport(options, POLICY)  # noqa: E731
        _wait_until_seen(connect, server.path(name))
        return Place(connect, root, server.path(name), keeps_permission_bits=kind != "rclone")

    def _start(self, kind: str) -> SshServer:
        root, own = self.folder / kind, self.folder / f"{kind}-server"
        for made in (root, own):  # they exist already if this server was missing for another test
            made.mkdir(exist_ok=True)
        start: dict[str, Callable[[], Any]] = {
            "asyncssh": lambda: asyncssh_server(root),
            "jump-host": lambda: asyncssh_server(root),
            "asyncssh-plain-rename": lambda: asyncssh_server(root, behaviour=Behaviour(posix_rename=False)),
            "rclone": lambda: rclone_sftp_server(root, own),
            "openssh": lambda: openssh_server(root, own),
            "proftpd": lambda: proftpd_server(root, own),
        }
        server: SshServer = self.stack.enter_context(start[kind]())
        return server

    def _jump_host(self) -> SshServer:
        if "in-front" not in self.servers:
            folder = self.folder / "in-front"
            folder.mkdir()
            self.servers["in-front"] = self.stack.enter_context(openssh_server(folder, folder))
        return self.servers["in-front"]


def _wait_until_seen(connect: Callable[[], Transport], path: str) -> None:
    # rclone remembers a folder's names for a moment, so one that was just made here may be new to it.
    with connect() as transport:
        for _ in range(100):
            if transport.exists([path]) == [True]:
                return
            time.sleep(0.05)
    raise RuntimeError(f"the server does not see {path}")


@pytest.fixture(scope="session")
def _places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Places]:
    places = _Places(tmp_path_factory.mktemp("places"))
    with places.stack:
        yield places


EVERYDAY, DEEP = (
    ["filesystem", "asyncssh"],
    ["asyncssh-plain-rename", "rclone", "openssh", "proftpd", "jump-host"],
)


@pytest.fixture(params=[*EVERYDAY, *(pytest.param(kind, marks=pytest.mark.deep) for kind in DEEP)])
def place(request: pytest.FixtureRequest, _places: _Places) -> Place:  # its value is used
    return _places.make(request.param)


@pytest.fixture
def transport(place: Place) -> Iterator[Transport]:
    with place.connect() as opened:
        yield opened
