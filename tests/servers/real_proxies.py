"""Debian's tinyproxy (HTTP CONNECT) and microsocks (SOCKS version 5), on loopback, with a user name and a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program
from tests.servers.processes import free_port, running, wait_until_listening

USER, PASSWORD = "through", "proxy-secret"
CONFIG = """\
Port {port}
Listen 127.0.0.1
Timeout 600
Allow 127.0.0.1
BasicAuth {user} {password}
ConnectPort {allowed}
"""


@contextmanager
def tinyproxy(folder: Path, *, allowed: int) -> Iterator[int]:
    """Yield its port. It connects to the ``allowed`` port only."""
    program, port = require_program("tinyproxy"), free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(CONFIG.format(port=port, user=USER, password=PASSWORD, allowed=allowed))
    with _running([program, "-d", "-c", str(config)], folder, port):
        yield port


@contextmanager
def microsocks(folder: Path) -> Iterator[int]:
    """Yield its port."""
    program, port = require_program("microsocks"), free_port()
    with _running([program, "-i", "127.0.0.1", "-p", str(port), "-u", USER, "-P", PASSWORD], folder, port):
        yield port


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "log").open("wb") as log, running(command, stdout=log, stderr=log) as process:
        wait_until_listening(process, port, log=folder / "log")
        yield
