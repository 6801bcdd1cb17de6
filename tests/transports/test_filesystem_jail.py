"""What a file system dropzone refuses, and what it survives."""

import errno
import os
import resource
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport
from tests.parts import skip_or_fail
from tests.swapping import swapping

NOBODY = 65534


@pytest.fixture
def top() -> Iterator[Path]:
    # pytest's own folders are closed to the other user that some tests become.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


@pytest.fixture
def root(top: Path) -> Path:
    (top / "outside").mkdir()
    (top / "root").mkdir()
    return top / "root"


@pytest.fixture
def transport(root: Path) -> FilesystemTransport:
    return FilesystemTransport(FilesystemOptions(), TransportPolicy(dropzone_roots=(str(root),)))


def code(outcome: object) -> str:
    return outcome.code if isinstance(outcome, Fault) else repr(outcome)


def in_a_child(action: Callable[[], object], *, prepare: Callable[[], None]) -> str:
    """What the action answers in a process of its own, after ``prepare``."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            os.write(writing, code(action()).encode())
        except OSError as error:
            os.write(writing, f"raised {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: it never ends
    except PermissionError:
        skip_or_fail("the right to make device files", "run it as root")


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@pytest.mark.parametrize("folder", ["outside", "root-too", "absent", "."])
def test_nothing_outside_the_roots_is_touched_or_told(top, root, transport, folder):
    (top / "root-too").mkdir()
    path = str(top / folder / "a")

    assert code(transport.stage([Upload(path, b"x")])[0]) == "OUTSIDE_ROOTS"
    assert code(transport.read([path], max_bytes=9)[0]) == "OUTSIDE_ROOTS"
    assert code(transport.exists([path])[0]) == "OUTSIDE_ROOTS"
    assert code(transport.remove([path])[0]) == "OUTSIDE_ROOTS"
    assert not Path(path).exists()


def test_without_roots_nothing_is_allowed(root):
    transport = FilesystemTransport(FilesystemOptions(), TransportPolicy())

    assert code(transport.stage([Upload(str(root / "a"), b"x")])[0]) == "OUTSIDE_ROOTS"


def test_a_link_leads_out_of_no_root(top, root, transport):
    (root / "folder").symlink_to(top / "outside")
    (top / "outside" / "secret").write_bytes(b"secret")
    (root / "file").symlink_to(top / "outside" / "secret")
    (root / "mine").write_bytes(b"x")
    out = str(root / "folder" / "secret")

    assert code(transport.read([out], max_bytes=9)[0]) == "OUTSIDE_ROOTS"
    assert code(transport.move([Move(str(root / "mine"), str(root / "folder/mine"))])[0]) == "OUTSIDE_ROOTS"
    assert code(transport.read([str(root / "file")], max_bytes=9)[0]) == "NOT_A_FILE"
    assert code(transport.stage([Upload(str(root / "file"), b"changed")])[0]) == "NOT_A_FILE"
    assert (top / "outside" / "secret").read_bytes() == b"secret"


def test_a_link_that_stays_inside_is_followed(root, transport):
    (root / "real").mkdir()
    (root / "folder").symlink_to("real")

    assert transport.stage([Upload(str(root / "folder/a"), b"x")]) == [None]
    assert (root / "real/a").read_bytes() == b"x"


def test_a_folder_swapped_for_a_link_while_files_are_written_lets_none_out(top, root, transport):
    (root / "in").mkdir()

    with swapping(root / "in", top / "outside"):
        # On a busy machine it takes longer until the swap meets a write.
        outcomes: list[object] = []
        while len(outcomes) < 300 or (len(outcomes) < 10_000 and not any(outcomes)):
            outcomes += transport.stage([Upload(str(root / f"in/{len(outcomes)}"), b"x")])

    assert list((top / "outside").iterdir()) == []
    assert len(list((root / "in").iterdir())) == outcomes.count(None) > 0
    assert any(outcome is not None for outcome in outcomes), "the swap never met a write"


@pytest.mark.deep
def test_whatever_is_done_while_folders_are_swapped_stays_inside(top, root, transport):
    """Every operation but writing, which has its own test; what lies outside must be as it was."""
    for folder in (top / "outside", root / "in", root / "in/sub"):
        folder.mkdir(exist_ok=True)
    (top / "outside/sub").mkdir()
    (top / "outside/secret").write_bytes(b"secret")
    (top / "outside/sub/secret").write_bytes(b"secret")
    base = str(root / "in")
    seen: set[str] = set()

    with swapping(root / "in", top / "outside"):
        # Two seconds, and on a busy machine as long as it takes until the swap was met once.
        started = time.monotonic()
        while time.monotonic() < started + (2 if "OUTSIDE_ROOTS" in seen else 60):
            seen.add(code(transport.read([f"{base}/secret"], max_bytes=99)[0]))
            seen.add(code(transport.read([f"{base}/sub/secret"], max_bytes=99)[0]))
            seen.add(code(transport.exists([f"{base}/secret"])[0]))
            seen.add(code(transport.remove([f"{base}/sub/secret"])[0]))
            seen.add(code(transport.move([Move(f"{base}/secret", f"{root}/mine")])[0]))
            seen.add(code(transport.publish([Move(f"{base}/sub/secret", f"{base}/mine")])[0]))
            with suppress(Fault):
                transport.make_folder(f"{base}/processed")
            with suppress(Fault):
                seen |= {entry.name for entry in transport.list(base)}

    assert not {"secret", "True", repr(b"secret")} & seen
    assert "OUTSIDE_ROOTS" in seen, "the swap never met anything"
    assert files_below(top / "outside") == {"secret": b"secret", "sub/secret": b"secret"}
    assert not (top / "outside/processed").exists()
    assert not (root / "mine").exists()


def test_dots_and_slashes_in_a_path_lead_nowhere(root, transport):
    for path in (f"{root}/in/../../outside/a", "in/a", f"{root}/a\0b", ""):
        with pytest.raises(ValueError, match="not an absolute, plain path"):
            transport.read([path], max_bytes=9)


def test_of_nested_roots_each_is_a_wall_of_its_own(top, root):
    (root / "acme").mkdir()
    (root / "other").mkdir()
    (root / "acme/out").symlink_to(root / "other")
    inner = FilesystemTransport(FilesystemOptions(), TransportPolicy(dropzone_roots=(str(root / "acme"),)))
    both = FilesystemTransport(
        FilesystemOptions(), TransportPolicy(dropzone_roots=(str(root), str(root / "acme")))
    )

    assert code(inner.stage([Upload(str(root / "acme/out/a"), b"x")])[0]) == "OUTSIDE_ROOTS"
    assert code(inner.stage([Upload(str(root / "other/a"), b"x")])[0]) == "OUTSIDE_ROOTS"
    assert both.stage([Upload(str(root / "other/a"), b"x"), Upload(str(root / "acme/a"), b"x")]) == [
        None,
        None,
    ]


def test_a_file_that_is_also_linked_elsewhere_is_not_written_through(top, root, transport):
    """A reason beside an ack file has a name that can be guessed: whoever links it must not have us write elsewhere."""
    victim = top / "outside" / "victim"
    victim.write_bytes(b"precious")
    os.link(victim, root / "ack_x.json.reason.txt")

    assert transport.stage([Upload(str(root / "ack_x.json.reason.txt"), b"why")]) == [None]
    assert victim.read_bytes() == b"precious"
    assert (root / "ack_x.json.reason.txt").read_bytes() == b"why"
    assert victim.stat().st_nlink == 1


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", ["pipe", "socket", "device", "folder", "link to itself"])
def test_what_is_no_file_is_neither_read_nor_waited_for(root, transport, make):
    path = root / "ack_x.json"
    with ExitStack() as open_socket:
        if make == "pipe":
            os.mkfifo(path)
        elif make == "socket":
            open_socket.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        elif make == "device":
            make_device(path)
        elif make == "folder":
            path.mkdir()
        else:
            path.symlink_to(path)

        assert code(transport.read([str(path)], max_bytes=9)[0]) == "NOT_A_FILE"
        assert code(transport.stage([Upload(str(path), b"x")])[0]) == "NOT_A_FILE"
        assert [entry.is_file for entry in transport.list(str(root))] == [False]
        assert transport.move([Move(str(path), str(root / "done"))]) == [None]


@pytest.mark.timeout(10)
def test_a_pipe_neither_hangs_nor_counts_as_a_file(root, transport):
    os.mkfifo(root / "pipe")

    assert code(transport.read([str(root / "pipe")], max_bytes=9)[0]) == "NOT_A_FILE"
    assert code(transport.stage([Upload(str(root / "pipe"), b"x")])[0]) == "NOT_A_FILE"
    assert [entry.is_file for entry in transport.list(str(root))] == [False]


def test_a_folder_closed_to_us_is_denied_not_missing(root, transport):
    (root / "closed").mkdir()
    (root / "closed").chmod(0)
    path = str(root / "closed" / "a")

    for ask in (
        lambda: transport.stage([Upload(path, b"x")])[0],
        lambda: transport.exists([path])[0],
        lambda: transport.read([path], max_bytes=9)[0],
    ):
        assert in_a_child(ask, prepare=become_nobody) == "PERMISSION_DENIED"


def test_a_full_disk_is_told_and_the_next_file_still_goes_out(root, transport):
    uploads = [Upload(str(root / "big"), b"x" * 100_000), Upload(str(root / "small"), b"x")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    assert in_a_child(lambda: " ".join(map(code, transport.stage(uploads))), prepare=limit) == repr(
        "DISK_FULL None"
    )


def test_an_ack_file_that_belongs_to_the_erps_user_can_be_moved(root, transport):
    """Linux forbids hard links to files of others (fs.protected_hardlinks); renaming them is allowed."""
    root.chmod(0o777)
    (root / "ack").write_bytes(b"x")
    (root / "ack").chmod(0o644)
    moves = [Move(str(root / "ack"), str(root / "done"))]

    assert in_a_child(lambda: transport.move(moves)[0], prepare=become_nobody) == "None"
    assert (root / "done").read_bytes() == b"x"
    assert not (root / "ack").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_files_move_on_a_share_without_hard_links_and_replace_none(root, transport, monkeypatch, number):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    (root / "a").write_bytes(b"new")
    (root / "taken").write_bytes(b"old")

    def move(source: str, target: str) -> str:
        return code(transport.move([Move(str(root / source), str(root / target))])[0])

    assert move("a", "taken") == "NAME_TAKEN"
    assert move("absent", "free") == "NOT_FOUND"
    assert move("a", "done") == "None"
    assert {path.name: path.read_bytes() for path in root.iterdir()} == {"taken": b"old", "done": b"new"}
