"""A private OpenSSH sshd in the foreground, for the current user, with keys and configuration of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program, user_name
from tests.servers.processes import running, wait_until_listening
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
    sshd = require_program("sshd")
    Path("/run/sshd").mkdir(parents=True, exist_ok=True) if Path("/run").stat().st_uid == _uid() else None
    host_key, client_key, port = new_key(), new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_text(public_line(client_key) + "\n")
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, folder=folder, extra=extra, sftp_options=sftp_options))
    with (
        (folder / "log").open("wb") as log,
        running([sshd, "-D", "-e", "-f", str(config)], stderr=log) as process,
    ):
        wait_until_listening(process, port, log=folder / "log")
        yield SshServer(
            "127.0.0.1",
            port,
            public_line(host_key),
            root,
            prefix=str(root),
            username=user_name(),
            password=None,
            client_key=client_key.export_private_key().decode(),
        )


def _uid() -> int:
    return Path("/proc/self").stat().st_uid
