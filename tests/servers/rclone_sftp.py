"""rclone's SFTP server: another implementation, in Go, to hold our engine against."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection

from tests.servers.s3 import rclone, rclone_environment
from tests.servers.ssh import PASSWORD, USERNAME, SshServer, free_port, new_key, public_line


@contextmanager
def rclone_sftp_server(root: Path, folder: Path) -> Iterator[SshServer]:
    """``folder`` keeps its key and configuration. Password login."""
    host_key, port = new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    # Tests look into the folder from outside: what rclone remembers of it must not outlive a moment.
    arguments = ["--addr", f"127.0.0.1:{port}", "--user", USERNAME, "--pass", PASSWORD]
    arguments += ["--dir-cache-time", "200ms", "--vfs-cache-mode", "off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [rclone(), "serve", "sftp", str(root), "--key", str(folder / "host_key"), *arguments],
            env=rclone_environment(folder),
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(port, server)
            yield SshServer("127.0.0.1", port, public_line(host_key), root)
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if server.poll() is not None:
            raise RuntimeError(f"rclone ended with code {server.returncode}")
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("rclone's SFTP server does not answer")
