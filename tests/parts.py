"""Optional programs that tests start, and what a test does when one is missing."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

# How to install each. A test asks for the program before it starts it. Any other program that a test starts belongs to
# Debian's base system, or is git or make.
PROGRAMS = {
    "caddy": "apt install caddy",
    "chromium-headless-shell": "apt install chromium-headless-shell",
    "curl": "apt install curl",
    "dropbear": "apt install dropbear-bin",
    "dropbearkey": "apt install dropbear-bin",
    "ftpasswd": "apt install proftpd-core",
    "jq": "apt install jq",
    "lftp": "apt install lftp",
    "microsocks": "apt install microsocks",
    "nginx": "apt install nginx",
    "node": "apt install nodejs",
    "openssl": "apt install openssl",
    "pgbouncer": "apt install pgbouncer",
    "proftpd": "apt install proftpd-core proftpd-mod-crypto",
    "pwsh": "install PowerShell, which Debian does not have",
    "rclone": "make install",
    "sftp": "apt install openssh-client",
    "ssh": "apt install openssh-client",
    "ssh-keygen": "apt install openssh-client",
    "sshd": "apt install openssh-server",
    "systemd-analyze": "apt install systemd",
    "tinyproxy": "apt install tinyproxy-bin",
}
# The shell is Chromium without its own windows: a page takes half of the CPU time. The others work just as well.
OTHER_NAMES = {"chromium-headless-shell": ("chromium", "chromium-browser", "google-chrome")}
# A user's PATH may lack the folders of servers.
SBIN = "/usr/sbin:/usr/local/sbin:/sbin"
HIDE = "TESTS_HIDE_PROGRAMS"


def skip_or_fail(part: str, remedy: str) -> NoReturn:
    """Skip the test, saying how to get the part; with REQUIRE_ALL=1 (as CI sets it) fail instead.

    pytest's summary has one line for each part: `pytest_runtest_makereport` makes the places alike.
    """
    _skip_or_fail(f"{part} is missing; to run these tests: {remedy}")


def _skip_or_fail(reason: str) -> NoReturn:
    _reasons.add(reason)
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


_reasons: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report this file as the place of a skip; pytest has the test's line if a fixture skips it."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if reason.removeprefix("Skipped: ") in _reasons:
            report.longrepr = (__file__, skip_or_fail.__code__.co_firstlineno, reason)
    return report


def require_program(name: str) -> str:
    """Return the program's path."""
    program = find_program(name) or skip_or_fail(name, PROGRAMS[name])
    if name == "sshd" and account_is_locked(user := user_name()):
        _skip_or_fail(
            f"sshd refuses each login of {user}, whose account is locked; to run these tests: use another user"
        )
    return program


def user_name() -> str:
    """Return the name of the user as whom this process runs; LOGNAME may be that of another one, after setpriv."""
    return pwd.getpwuid(os.getuid()).pw_name


def account_is_locked(user: str) -> bool:
    """Return True if sshd regards the account as locked; it looks at the same field.

    An ordinary user sees no such field, and neither does the user's sshd. But nss-systemd shows that of `nobody`.
    """
    found = subprocess.run(["getent", "shadow", user], capture_output=True, text=True, check=False)
    return found.stdout.partition(":")[2].startswith("!")


def find_program(name: str) -> str | None:
    if name not in PROGRAMS:
        raise LookupError(f"{name}: say in PROGRAMS how to get it")
    if os.environ.get(HIDE) == "1":
        return None
    names = (name, *OTHER_NAMES.get(name, ()))
    return next(filter(None, (shutil.which(one, path=path) for one in names for path in (None, SBIN))), None)


def path_without_programs(folder: Path) -> str:
    """Return a PATH on which no optional program is: ``folder``, filled with links to everything else."""
    hidden = {*PROGRAMS, *(other for others in OTHER_NAMES.values() for other in others)}
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in hidden:
                link = folder / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return str(folder)
