"""A private OpenSSH sshd in the foreground, for the current user, with keys and configuration of its own."""

import getpass
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection

from tests.parts import require_program
from tests.servers.ssh import SshServer, free_port, new_key, public_line

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{folder}/authorized_keys"
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
LogLevel ERROR
Subsystem sftp internal-sftp {sftp_options}
{extra}
"""


@contextmanager
def openssh_server(
    root: Path, folder: Path, *, extra: str = "", sftp_options: str = ""
) -> Iterator[SshServer]:
    """``folder`` keeps its configuration; ``extra`` is added to it, ``sftp_options`` are those of sftp-server(8).

    Key login only: passwords are the system's.
    """
    sshd = require_program("sshd", "apt install openssh-server")
    Path("/run/sshd").mkdir(parents=True, exist_ok=True) if Path("/run").stat().st_uid == _uid() else None
    host_key, client_key, port = new_key(), new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_text(public_line(client_key) + "\n")
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder, extra=extra, sftp_options=sftp_options))
    process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=(folder / "log").open("wb"))
    try:
        _wait_for(port, process)
        yield SshServer(
            "127.0.0.1",
            port,
            public_line(host_key),
            root,
            prefix=str(root),
            username=getpass.getuser(),
            password=None,
            client_key=client_key.export_private_key().decode(),
        )
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        if process.poll() is not None:
            raise RuntimeError(f"sshd ended with code {process.returncode}")
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("sshd does not answer")


def _uid() -> int:
    return Path("/proc/self").stat().st_uid
