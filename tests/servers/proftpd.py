"""A private ProFTPD with mod_sftp, for the current user, with a key, a password file and a configuration of its own."""

import grp
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection

from tests.parts import require_program, skip_or_fail
from tests.servers.ssh import PASSWORD, USERNAME, SshServer, free_port, new_key, public_line

REMEDY = "apt install proftpd-core proftpd-mod-crypto"
MODULES = Path("/usr/lib/proftpd")
CONFIG = """\
ModulePath {modules}
LoadModule mod_sftp.c
ControlsEngine off
ServerType standalone
DefaultServer on
DefaultAddress 127.0.0.1
SocketBindTight on
Port {port}
UseIPv6 off
UseReverseDNS off
User {user}
Group {group}
RootLogin on
AuthOrder mod_auth_file.c
AuthUserFile "{folder}/passwd"
RequireValidShell off
PidFile "{folder}/pid"
ScoreboardFile "{folder}/scoreboard"
SystemLog "{folder}/log"
TransferLog none
WtmpLog off
DelayEngine off
DefaultTransferMode binary
AllowOverwrite on
Umask 022
MaxInstances 100
SFTPEngine on
SFTPLog "{folder}/sftp.log"
SFTPHostKey "{folder}/host_key"
SFTPAuthMethods password
{extra}
"""


@contextmanager
def proftpd_server(root: Path, folder: Path, *, extra: str = "") -> Iterator[SshServer]:
    """``folder`` keeps its configuration; ``extra`` is added to it. Password login; paths as this machine has them."""
    proftpd = require_program("proftpd", REMEDY)
    if not (MODULES / "mod_sftp.so").exists():
        skip_or_fail("ProFTPD's mod_sftp", REMEDY)
    host_key, port = new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    _write_users(folder / "passwd", root)
    config = folder / "proftpd.conf"
    config.write_text(
        CONFIG.format(
            modules=MODULES,
            port=port,
            user=pwd.getpwuid(os.getuid()).pw_name,
            group=grp.getgrgid(os.getgid()).gr_name,
            folder=folder,
            extra=extra,
        )
    )
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [proftpd, "--nodaemon", "--config", str(config)], stdout=output, stderr=output
        )
    try:
        _wait_for(port, process, folder)
        yield SshServer("127.0.0.1", port, public_line(host_key), root, prefix=str(root))
    finally:
        process.terminate()
        process.wait(10)


def _write_users(path: Path, home: Path) -> None:
    ftpasswd = require_program("ftpasswd", REMEDY)
    who = ["--name", USERNAME, "--uid", str(os.getuid()), "--gid", str(os.getgid())]
    where = ["--home", str(home), "--shell", "/bin/sh"]
    subprocess.run(
        [ftpasswd, "--passwd", "--file", str(path), "--stdin", "--sha512", *who, *where],
        input=PASSWORD.encode(),
        check=True,
        capture_output=True,
    )
    path.chmod(0o600)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            said = (folder / "output").read_text(errors="replace")
            raise RuntimeError(f"proftpd ended with code {process.returncode}: {said}")
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("proftpd does not answer")
