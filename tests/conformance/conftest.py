"""One suite, every transport: each gets a folder that the test can also look into from outside."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from erp_connectors.testing import Place
from erp_connectors.transports.base import Transport, TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport
from erp_connectors.transports.s3 import S3Transport
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.bucket_path import BucketPath, client_of
from tests.servers.moto_s3 import moto_server
from tests.servers.openssh import openssh_server
from tests.servers.proftpd import proftpd_server
from tests.servers.rclone_sftp import rclone_sftp_server
from tests.servers.s3 import S3Server, s3_server
from tests.servers.ssh import SshServer

POLICY = TransportPolicy(sftp_loopback=True)


S3_KINDS: dict[str, Callable[[Path], AbstractContextManager[S3Server]]] = {
    "rclone-s3": s3_server,
    "moto": lambda folder: moto_server(folder, versions=True, expiry=True),
}


# Folders that are missing, and links: a bucket has neither. moto takes 5 ms for a request, so rclone lists the many.
WITHOUT_FOLDERS = frozenset(
    {
        "test_a_missing_folder_is_never_taken_for_a_missing_file",
        "test_a_missing_folder_is_named_by_its_own_path",
        "test_a_missing_target_folder_is_told",
        "test_a_folder_is_not_read_as_a_file",
        "test_making_a_folder_twice_is_fine",
        "test_a_folder_cannot_be_made_where_its_parent_is_missing_or_its_name_taken",
        "test_a_link_is_not_a_file",
    }
)
WITH_MANY_FILES = frozenset(
    {
        "test_many_files_are_answered_in_their_order_and_one_harms_no_other",
        "test_a_thousand_names_are_listed",
        "test_hundreds_of_files_in_one_batch",
    }
)
# These write through the server alone, so it need not read the folder anew while it writes.
WRITE_MANY = WITH_MANY_FILES - {"test_a_thousand_names_are_listed"}
RCLONE_WITH_CACHE = "rclone-with-cache"
NOT_FOR = {"rclone-s3": WITHOUT_FOLDERS, "moto": WITHOUT_FOLDERS | WITH_MANY_FILES}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no meaning for a kind of place."""
    left_out = [item for item in items if _is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    kind = call.params.get("place") if call else None
    return isinstance(kind, str) and getattr(item, "originalname", "") in NOT_FOR.get(kind, ())


class _Places:
    """Servers start once for the session; each test gets a new folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self.servers: dict[str, SshServer] = {}
        self.buckets: dict[str, S3Server] = {}
        self.count = 0

    def make(self, kind: str) -> Place:
        self.count += 1
        name = f"test{self.count}"
        if kind == "filesystem":
            root = self.folder / name
            root.mkdir()
            policy = TransportPolicy(dropzone_roots=(str(root),))
            return Place(lambda: FilesystemTransport(FilesystemOptions(), policy), root, str(root))
        if kind in S3_KINDS:
            return self._prefix(kind, name)
        # What the other one remembers is older than the new folder.
        key = f"{kind}-{name}" if kind == RCLONE_WITH_CACHE else kind
        if key not in self.servers:
            self.servers[key] = self._start(kind, key)
        server = self.servers[key]
        root = server.root / name
        root.mkdir()
        options = server.options(hop=self._jump_host().as_hop() if kind == "jump-host" else None)
        connect = lambda: SftpTransport(options, POLICY)  # noqa: E731
        _wait_until_seen(connect, server.path(name))
        return Place(connect, root, server.path(name), keeps_permission_bits="rclone" not in kind)

    def _prefix(self, kind: str, name: str) -> Place:
        if kind not in self.buckets:
            folder = self.folder / kind
            folder.mkdir(exist_ok=True)
            self.buckets[kind] = self.stack.enter_context(S3_KINDS[kind](folder))
        server = self.buckets[kind]
        connect = lambda: S3Transport(server.options(), POLICY)  # noqa: E731
        root = cast("Path", BucketPath(client_of(server), server.bucket, name))
        return Place(connect, root, f"/{name}", keeps_permission_bits=False, has_folders=False)

    def _start(self, kind: str, name: str) -> SshServer:
        root, own = self.folder / name, self.folder / f"{name}-server"
        for made in (root, own):  # they exist already if this server was missing for another test
            made.mkdir(exist_ok=True)
        start: dict[str, Callable[[], Any]] = {
            "asyncssh": lambda: asyncssh_server(root),
            "jump-host": lambda: asyncssh_server(root),
            "asyncssh-plain-rename": lambda: asyncssh_server(root, behaviour=Behaviour(posix_rename=False)),
            "rclone": lambda: rclone_sftp_server(root, own),
            RCLONE_WITH_CACHE: lambda: rclone_sftp_server(root, own, dir_cache_time="1h"),
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
    ["asyncssh-plain-rename", "rclone", "openssh", "proftpd", "jump-host", "rclone-s3", "moto"],
)


@pytest.fixture(params=[*EVERYDAY, *(pytest.param(kind, marks=pytest.mark.deep) for kind in DEEP)])
def place(request: pytest.FixtureRequest, _places: _Places) -> Place:  # its value is used
    many = request.param == "rclone" and request.node.originalname in WRITE_MANY
    return _places.make(RCLONE_WITH_CACHE if many else request.param)


@pytest.fixture
def transport(place: Place) -> Iterator[Transport]:
    with place.connect() as opened:
        yield opened
