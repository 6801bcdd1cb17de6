"""The dropzones of the matrix: one server of each kind for the session, a folder of its own for each cell."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.servers.asyncssh_server import Behaviour, asyncssh_server
from tests.servers.openssh import openssh_server
from tests.servers.ssh import SshServer

KINDS = ("filesystem", "openssh", "asyncssh")
# OpenSSH behind OpenSSH, for a few cells.
JUMP_HOST = "jump-host"


class Dropzones:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.root = folder / "files"
        self.root.mkdir()
        self._own = folder / "sshd"
        self._own.mkdir()
        self._stack = stack
        self._servers: dict[str, SshServer] = {}
        self._count = 0

    def make(self, kind: str) -> tuple[Path, dict[str, Any]]:
        """A new folder with ``in`` and ``ack``, and the config of a connection to it."""
        self._count += 1
        name = f"cell{self._count}"
        for part in ("in", "ack"):
            (self.root / name / part).mkdir(parents=True)
        if kind == "filesystem":
            folder = self.root / name
            return folder, {
                "mode": "filesystem", "export_path": str(folder / "in"), "ack_path": str(folder / "ack")
            }  # fmt: skip
        server = self._server("openssh" if kind == JUMP_HOST else kind)
        paths = {"export_path": server.path(name, "in"), "ack_path": server.path(name, "ack")}
        hop = self._server(JUMP_HOST).hop_config() if kind == JUMP_HOST else {}
        return self.root / name, server.config(**paths, **hop)

    def _server(self, kind: str) -> SshServer:
        if kind not in self._servers:
            own = self._own / kind
            own.mkdir()
            self._servers[kind] = self._stack.enter_context(
                openssh_server(self.root, own)
                if kind in ("openssh", JUMP_HOST)
                else asyncssh_server(self.root, behaviour=Behaviour(posix_rename=False))
            )
        return self._servers[kind]
