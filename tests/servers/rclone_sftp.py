"""rclone's SFTP server: another implementation, in Go, to hold our engine against."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.processes import running, wait_until_listening
from tests.servers.s3 import rclone, rclone_environment
from tests.servers.ssh import PASSWORD, USERNAME, SshServer, free_port, new_key, public_line


@contextmanager
def rclone_sftp_server(root: Path, folder: Path, *, dir_cache_time: str = "200ms") -> Iterator[SshServer]:
    """``folder`` keeps its key and configuration. Password login.

    Tests look into the folder from outside: what rclone remembers of it must not outlive a moment. But while rclone
    reads the folder anew, it takes the size on the disk for that of a file it is writing.
    """
    host_key, port = new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    arguments = ["--addr", f"127.0.0.1:{port}", "--user", USERNAME, "--pass", PASSWORD]
    arguments += ["--dir-cache-time", dir_cache_time, "--vfs-cache-mode", "off"]
    command = [rclone(), "serve", "sftp", str(root), "--key", str(folder / "host_key"), *arguments]
    with (
        (folder / "log").open("wb") as log,
        running(command, env=rclone_environment(folder), stdout=log, stderr=log) as server,
    ):
        wait_until_listening(server, port, log=folder / "log")
        yield SshServer("127.0.0.1", port, public_line(host_key), root)
