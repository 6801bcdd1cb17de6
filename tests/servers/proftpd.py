"""A private ProFTPD with mod_sftp, for the current user, with a key, a password file and a configuration of its own."""

import grp
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts import require_program, skip_or_fail
from tests.servers.processes import running, wait_until_listening
from tests.servers.ssh import PASSWORD, USERNAME, SshServer, free_port, new_key, public_line

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
SFTPEngine {engine}
SFTPLog "{folder}/sftp.log"
SFTPHostKey "{folder}/host_key"
SFTPAuthMethods {auth}
{extra}
"""


@contextmanager
def proftpd_server(
    root: Path, folder: Path, *, extra: str = "", auth: str = "password", engine: str = "on"
) -> Iterator[SshServer]:
    """``folder`` keeps its configuration; ``extra`` is added to it. ``auth``: the methods of login, those joined by a
    plus sign one after the other. ``engine`` off: it speaks FTP. Paths as this machine has them."""
    proftpd, ftpasswd = require_program("proftpd"), require_program("ftpasswd")
    if not (MODULES / "mod_sftp.so").exists():
        skip_or_fail("ProFTPD's mod_sftp", "apt install proftpd-mod-crypto")
    host_key, port = new_key(), free_port()
    (folder / "host_key").write_bytes(host_key.export_private_key())
    (folder / "host_key").chmod(0o600)
    _write_users(ftpasswd, folder / "passwd", root)
    config = folder / "proftpd.conf"
    config.write_text(
        CONFIG.format(
            modules=MODULES,
            port=port,
            user=pwd.getpwuid(os.getuid()).pw_name,
            group=grp.getgrgid(os.getgid()).gr_name,
            folder=folder,
            extra=extra,
            auth=auth,
            engine=engine,
        )
    )
    command = [proftpd, "--nodaemon", "--config", str(config)]
    with (
        (folder / "output").open("wb") as output,
        running(command, stdout=output, stderr=output) as process,
    ):
        wait_until_listening(process, port, log=folder / "output")
        yield SshServer("127.0.0.1", port, public_line(host_key), root, prefix=str(root))


def _write_users(ftpasswd: str, path: Path, home: Path) -> None:
    who = ["--name", USERNAME, "--uid", str(os.getuid()), "--gid", str(os.getgid())]
    where = ["--home", str(home), "--shell", "/bin/sh"]
    subprocess.run(
        [ftpasswd, "--passwd", "--file", str(path), "--stdin", "--sha512", *who, *where],
        input=PASSWORD.encode(),
        check=True,
        capture_output=True,
    )
    path.chmod(0o600)
