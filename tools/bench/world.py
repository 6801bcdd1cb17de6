"""The one server that everybody works against: a private OpenSSH, reached at once or over a link with a delay."""

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.servers.delay_proxy import delay_proxy
from tests.servers.openssh import openssh_server
from tests.servers.ssh import SshServer
from tools.bench.measuring import DidNotDoIt


@dataclass
class World:
    server: SshServer
    folder: Path
    key_file: Path
    ports: dict[int, int]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def link(self, round_trip_ms: int) -> SshServer:
        """The server as it is seen over a link of that round trip."""
        fields = {name: getattr(self.server, name) for name in self.server.__dataclass_fields__}
        return SshServer(**fields | {"port": self.ports[round_trip_ms]})

    def new_folder(self, *names: str) -> Path:
        path = self.server.root / f"run{next(self.numbers)}"
        for name in names or ("",):
            (path / name).mkdir(parents=True, exist_ok=True)
        return path

    def files(self, how_many: int, size: int) -> Path:
        """Random files to upload, the same ones each time they are asked for."""
        folder = self.folder / f"source-{how_many}-{size}"
        if not folder.exists():
            folder.mkdir()
            for n in range(how_many):
                (folder / f"order_{n:05}.json").write_bytes(secrets.token_bytes(size))
        return folder


@contextmanager
def running_world(folder: Path, round_trips_ms: list[int]) -> Iterator[World]:
    root, own = folder / "dropzone", folder / "server"
    root.mkdir(parents=True)
    own.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(openssh_server(root, own, extra="MaxSessions 20\nMaxStartups 50"))
        ports = {
            ms: stack.enter_context(delay_proxy(server.port, round_trip=ms / 1000)) if ms else server.port
            for ms in round_trips_ms
        }
        key_file = own / "client_key"
        key_file.write_text(server.client_key or "")
        key_file.chmod(0o600)
        (own / "known_hosts").write_text(
            "".join(f"[127.0.0.1]:{port} {server.host_key}\n" for port in ports.values())
        )
        yield World(server, folder, key_file, ports)


def require_uploaded(source: Path, target: Path) -> None:
    """Every file under its final name, whole."""
    wanted = {path.name: path.stat().st_size for path in source.iterdir()}
    there = {path.name: path.stat().st_size for path in target.iterdir() if path.name in wanted}
    if there != wanted:
        raise DidNotDoIt(f"{len(wanted) - len(there)} of {len(wanted)} files are missing or short")
    shutil.rmtree(target)


def prepare_django(folder: Path, database_url: str) -> None:
    """Settings for this process: a database and folders of its own."""
    os.environ |= {
        "ORDERFLOW_ENV": "development",
        "SECRET_KEY": secrets.token_hex(32),
        "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
        "VAR_DIR": str(folder / "var"),
        "DATABASE_URL": database_url,
        "DROPZONE_ROOTS": str(folder),
        "LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": "orderflow.settings",
    }
    # Audit entries are logged at any LOG_LEVEL and would hide the figures.
    logging.getLogger("orderflow.audit.entries").addFilter(lambda _: False)
