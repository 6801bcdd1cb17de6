"""Other programs doing the job: each file under a temporary name, then renamed; or as near to that as they come."""

import asyncio
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import asyncssh
import paramiko

from tests.servers.s3 import rclone
from tests.servers.ssh import SshServer
from tools.bench.measuring import DidNotDoIt, Run, timed
from tools.bench.world import World, require_uploaded

MAX_SECONDS = 600
CONNECTIONS_TRIED = 20
SYSTEM = "/usr/local/bin:/usr/bin:/bin"
PER_FILE = f"paramiko, a connection per file ({CONNECTIONS_TRIED} at most, scaled up)"


def missing() -> list[str]:
    return [program for program in ("sftp", "lftp") if not shutil.which(program)]


def uploads(world: World, ms: int, source: Path) -> dict[str, Run]:
    """Return, by name, a function that uploads every file of ``source`` to a new folder and returns the seconds."""
    link = world.link(ms)

    def into_new_folder(act: Callable[[Path], object]) -> Run:
        def run() -> float:
            target = world.new_folder()
            seconds = timed(lambda: act(target))
            require_uploaded(source, target)
            return seconds

        return run

    peers: dict[str, Callable[[Path], object]] = {
        "paramiko, file by file": lambda target: _paramiko_puts(link, source, target),
    }
    if shutil.which("sftp"):
        peers["OpenSSH sftp -b"] = lambda target: _sftp(world, link, _put_lines(source, target))
    for at_once in (64, 256):
        peers[f"AsyncSSH, {at_once} at once"] = lambda target, at_once=at_once: _asyncssh(  # type: ignore[misc]
            link, source, target, at_once
        )
    for name, program, transfers in _rclones():
        peers[name] = lambda target, program=program, n=transfers: _rclone(  # type: ignore[misc]
            program, world, link, ["copy", str(source), f":sftp:{target}", "--transfers", n]
        )
    if shutil.which("lftp"):
        for connections in (1, 4, 8):
            peers[f"lftp, {connections} connections"] = lambda target, n=connections: _lftp(  # type: ignore[misc]
                world, link, _mirror_lines(source, target, n)
            )
    runs = {name: into_new_folder(act) for name, act in peers.items()}
    runs[PER_FILE] = lambda: _connection_per_file(world, link, source)
    return runs


def ack_readers(world: World, ms: int, fill: Callable[[Path], int]) -> dict[str, Run]:
    """Return, by name, a function that fetches and moves every file of a folder that ``fill`` makes."""
    link = world.link(ms)

    def from_new_folder(act: Callable[[Path, Path], object]) -> Run:
        def run() -> float:
            folder, here = world.new_folder("ack", "ack/processed"), world.folder / "fetched"
            shutil.rmtree(here, ignore_errors=True)
            here.mkdir()
            how_many = fill(folder / "ack")
            seconds = timed(lambda: act(folder / "ack", here))
            left = [path for path in (folder / "ack").iterdir() if path.is_file()]
            fetched = len(list(here.iterdir()))
            if left or fetched != how_many:
                raise DidNotDoIt(f"{fetched} of {how_many} fetched, {len(left)} left")
            return seconds

        return run

    peers: dict[str, Callable[[Path, Path], object]] = {
        "paramiko, file by file": lambda folder, here: _paramiko_gets(link, folder, here),
    }
    if shutil.which("sftp"):
        peers["OpenSSH sftp -b"] = lambda folder, here: _sftp(world, link, _get_lines(folder, here))
    for name, program, transfers in _rclones():
        peers[name] = lambda folder, here, program=program, n=transfers: _rclone(  # type: ignore[misc]
            program, world, link, ["move", f":sftp:{folder}", str(here), "--max-depth", "1", "--transfers", n]
        )
    if shutil.which("lftp"):
        for connections in (1, 4, 8):
            peers[f"lftp, {connections} connections"] = lambda folder, here, n=connections: _lftp(  # type: ignore[misc]
                world,
                link,
                [f'mirror --Remove-source-files --no-recursion --parallel={n} "{folder}" "{here}"'],
            )
    return {name: from_new_folder(act) for name, act in peers.items()}


def _put_lines(source: Path, target: Path) -> list[str]:
    return [
        line
        for path in sorted(source.iterdir())
        for line in (
            f'put "{path}" "{target}/{path.name}.tmp"',
            f'rename "{target}/{path.name}.tmp" "{target}/{path.name}"',
        )
    ]


def _get_lines(folder: Path, here: Path) -> list[str]:
    return [
        line
        for path in sorted(folder.iterdir())
        if path.is_file()
        for line in (
            f'get "{path}" "{here}/{path.name}"',
            f'rename "{path}" "{folder}/processed/{path.name}"',
        )
    ]


def _sftp(world: World, link: SshServer, lines: Sequence[str]) -> None:
    batch = world.folder / "batch"
    batch.write_text("\n".join(lines) + "\n")
    options = _ssh_options(world)
    _execute(["sftp", "-q", *options, "-b", str(batch), "-P", str(link.port), f"{link.username}@{link.host}"])


def _mirror_lines(source: Path, target: Path, connections: int) -> list[str]:
    return [
        "set xfer:use-temp-file yes",
        "set xfer:temp-file-name *.tmp",
        f'mirror -R --no-perms --parallel={connections} "{source}" "{target}"',
    ]


def _lftp(world: World, link: SshServer, lines: Sequence[str]) -> None:
    script = world.folder / "script"
    # lftp removes its own quotes and passes the program to a shell.
    program = shlex.join(["ssh", "-a", "-x", *_ssh_options(world)]).replace('"', r"\"")
    opening = [
        f'set sftp:connect-program "{program}"',
        "set sftp:auto-confirm yes",
        "set net:max-retries 1",
        f"open -u {link.username},none -p {link.port} sftp://{link.host}",
    ]
    script.write_text("\n".join([*opening, *lines, "bye"]) + "\n")
    _execute(["lftp", "--norc", "-f", str(script)])


def _rclones() -> Iterator[tuple[str, str, str]]:
    """Name, program and transfers. The system's version may be twice as fast as the one we bring, so both compete."""
    for whose, program in (("pinned", rclone()), ("the system's", shutil.which("rclone", path=SYSTEM))):
        for transfers in ("4", "8", "16"):
            if program:
                yield f"rclone ({whose}), {transfers} transfers", program, transfers


def _rclone(program: str, world: World, link: SshServer, arguments: Sequence[str]) -> None:
    options = ["--sftp-host", link.host, "--sftp-port", str(link.port), "--sftp-user", link.username]
    options += ["--sftp-key-file", str(world.key_file), "--config", "/dev/null", "--sftp-disable-hashcheck"]
    _execute([program, *arguments, *options, "--checkers", "16"])


def _ssh_options(world: World) -> list[str]:
    known = world.folder / "server" / "known_hosts"
    return [
        "-F",
        "none",
        "-i",
        str(world.key_file),
        "-o",
        f'UserKnownHostsFile="{known}"',
        "-o",
        "BatchMode=yes",
    ]


def _execute(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAX_SECONDS, check=False)
    if done.returncode:
        raise DidNotDoIt(f"exit code {done.returncode}: {done.stderr.strip()[-200:]}")


def _connected(link: SshServer) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    kind, key = link.host_key.split()[:2]
    name = f"[{link.host}]:{link.port}"
    client.get_host_keys().add(name, kind, paramiko.PKey.from_type_string(kind, _decoded(key)))
    client.connect(
        link.host, link.port, link.username, pkey=_key(link), allow_agent=False, look_for_keys=False
    )
    return client


def _decoded(text: str) -> bytes:
    from base64 import b64decode  # noqa: PLC0415  # one use

    return b64decode(text)


def _key(link: SshServer) -> paramiko.PKey:
    from io import StringIO  # noqa: PLC0415  # one use

    return paramiko.Ed25519Key.from_private_key(StringIO(link.client_key or ""))


def _paramiko_puts(link: SshServer, source: Path, target: Path) -> None:
    with _connected(link) as client, client.open_sftp() as sftp:
        within = _Patience()
        for path in sorted(source.iterdir()):
            within.require()
            _put_one(sftp, path, target)


class _Patience:
    """Bounds what runs in this process as ``timeout`` bounds a program."""

    def __init__(self) -> None:
        self._until = time.monotonic() + MAX_SECONDS

    def require(self) -> None:
        if time.monotonic() > self._until:
            raise DidNotDoIt(f"> {MAX_SECONDS} s")


def _put_one(sftp: paramiko.SFTPClient, path: Path, target: Path) -> None:
    sftp.put(str(path), f"{target}/{path.name}.tmp")
    sftp.posix_rename(f"{target}/{path.name}.tmp", f"{target}/{path.name}")


def _connection_per_file(world: World, link: SshServer, source: Path) -> float:
    """Measured on some of the files and scaled up to all: it takes minutes."""
    target = world.new_folder()
    paths = sorted(source.iterdir())
    some = paths[:CONNECTIONS_TRIED]

    def act() -> None:
        for path in some:
            with _connected(link) as client, client.open_sftp() as sftp:
                _put_one(sftp, path, target)

    seconds = timed(act)
    if sorted(path.name for path in target.iterdir()) != [path.name for path in some]:
        raise DidNotDoIt("some files are missing")
    return seconds * len(paths) / len(some)


def _paramiko_gets(link: SshServer, folder: Path, here: Path) -> None:
    with _connected(link) as client, client.open_sftp() as sftp:
        within = _Patience()
        for name in sftp.listdir(str(folder)):
            within.require()
            if name != "processed":
                sftp.get(f"{folder}/{name}", str(here / name))
                sftp.posix_rename(f"{folder}/{name}", f"{folder}/processed/{name}")


def _contents(source: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in source.iterdir()}


def _asyncssh(link: SshServer, source: Path, target: Path, at_once: int) -> None:
    puts = _asyncssh_puts(link, _contents(source), target, at_once)
    try:
        asyncio.run(asyncio.wait_for(puts, MAX_SECONDS))
    except TimeoutError:
        raise DidNotDoIt(f"> {MAX_SECONDS} s") from None


async def _asyncssh_puts(link: SshServer, files: dict[str, bytes], target: Path, at_once: int) -> None:
    room = asyncio.Semaphore(at_once)
    key = asyncssh.import_private_key(link.client_key or "")
    hosts = asyncssh.import_known_hosts(f"[{link.host}]:{link.port} {link.host_key}\n")
    async with (
        asyncssh.connect(
            link.host, link.port, username=link.username, client_keys=[key], known_hosts=hosts, config=[]
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):

        async def put(name: str, data: bytes) -> None:
            async with room:
                async with sftp.open(f"{target}/{name}.tmp", "wb") as file:
                    await file.write(data)
                await sftp.posix_rename(f"{target}/{name}.tmp", f"{target}/{name}")

        await asyncio.gather(*(put(name, data) for name, data in files.items()))
