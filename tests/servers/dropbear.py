"""A private Dropbear in the foreground with one Ed25519 host key; it is only good for its handshake."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program
from tests.servers.processes import running, wait_until_listening
from tests.servers.ssh import SshServer, free_port


@contextmanager
def dropbear_server(folder: Path) -> Iterator[SshServer]:
    """``folder`` keeps its key. It crashes if a client asks for a key of a type that it lacks, as some versions do."""
    dropbear, dropbearkey, port = require_program("dropbear"), require_program("dropbearkey"), free_port()
    key, log = folder / "host_key", folder / "log"
    made = subprocess.run(
        [dropbearkey, "-t", "ed25519", "-f", str(key)], check=True, capture_output=True, text=True
    )
    (line,) = [line for line in made.stdout.splitlines() if line.startswith("ssh-ed25519 ")]
    command = [dropbear, "-F", "-E", "-r", str(key), "-p", f"127.0.0.1:{port}", "-P", str(folder / "pid")]
    with log.open("wb") as output, running(command, stderr=output) as process:
        wait_until_listening(process, port, log=log)
        yield SshServer("127.0.0.1", port, " ".join(line.split()[:2]), folder)
