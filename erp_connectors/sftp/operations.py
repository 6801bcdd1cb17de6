"""File operations as tasks for the pipeline. Each raises `StatusError` for its own file."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import ProtocolViolation, StatusError, TransferRefused
from erp_connectors.sftp.pipeline import Task
from erp_connectors.sftp.texts import Text
from erp_connectors.sftp.wire import Attributes, NamedFile, Reply, Request

CHUNK = 32_000
READS_AHEAD = 32
# A server that gives less of a file each time would keep a worker busy for ever.
SHORT_PART = 512

ReplyT = TypeVar("ReplyT", bytes, Attributes, tuple[NamedFile, ...])


@dataclass(frozen=True, slots=True)
class WriteResult:
    """A file that was opened, written and closed without an error.

    ``look``: the attributes of the path after the close, or the refusal to return them. ``sync_refused`` and
    ``mode_refused``: the refusal of an optional request; None if it succeeded or was not sent.
    """

    look: Attributes | StatusError
    sync_refused: StatusError | None = None
    mode_refused: StatusError | None = None


def put(path: str, data: bytes, *, mode: int | None, sync: bool) -> Task[WriteResult]:
    """Write a complete file. Raise `TransferRefused` if the server opens the file and refuses a write or the close.

    Some servers run the requests of one handle in parallel, and some know a file's size only after its close. So each
    step waits for the replies of the step before, and the size is requested by path: together with the close, and
    again after its reply if the first reply is not the expected one.
    """
    (reply,) = yield [wire.open_file(path, wire.F_WRITE | wire.F_CREAT | wire.F_TRUNC)]
    handle, view = _expect(bytes, reply), memoryview(data)
    try:
        yield [wire.write(handle, at, view[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
    except StatusError as error:
        yield [wire.close_unattended(handle)]
        raise TransferRefused(error.code, error.text) from None
    wanted = [wire.set_mode(handle, mode)] if mode is not None else []
    wanted += [wire.fsync(handle)] if sync else []
    try:
        *done, _, look = yield [*wanted, wire.on_handle(wire.CLOSE, handle), _look_at(path)]
    except StatusError as error:
        raise TransferRefused(error.code, error.text) from None
    if not _is_as_written(look, len(data), mode):
        # A server may refuse LSTAT and allow STAT.
        again, followed = yield [_look_at(path), wire.on_path(wire.STAT, path, optional=True)]
        look = again if isinstance(again, Attributes) else followed
    return WriteResult(
        _expect_look(look),
        sync_refused=_refusal(done.pop()) if sync else None,
        mode_refused=_refusal(done.pop()) if mode is not None else None,
    )


def _look_at(path: str) -> Request:
    return wire.on_path(wire.LSTAT, path, optional=True)


def _is_as_written(look: Reply, size: int, mode: int | None) -> bool:
    if not isinstance(look, Attributes) or look.size != size:
        return False
    return mode is None or look.permissions is None or stat.S_IMODE(look.permissions) == mode


def _expect_look(reply: Reply) -> Attributes | StatusError:
    return reply if isinstance(reply, StatusError) else _expect(Attributes, reply)


def _refusal(reply: Reply) -> StatusError | None:
    return reply if isinstance(reply, StatusError) else None


def read(path: str, *, size: int | None, max_bytes: int) -> Task[bytes | None]:
    """The whole file; None where it is larger than ``max_bytes``, of which little more is read.

    ``size``: as the server last said; a file that has it needs no further question about its end.
    """
    (reply,) = yield [wire.open_file(path, wire.F_READ)]
    handle, data = _expect(bytes, reply), bytearray()
    try:
        for _ in range(max_bytes // SHORT_PART + 2):
            asked = _ranges(len(data), min(size or 0, max_bytes) + 1, max_bytes + 1)
            parts = yield [wire.read(handle, at, length) for at, length in asked]
            ended = _append(data, parts, asked) or len(data) == size
            if ended or len(data) > max_bytes:
                break
        else:
            raise ProtocolViolation(Text("ssh.tiny_reads"))
    except StatusError:
        yield [wire.close_unattended(handle)]
        raise
    yield [wire.close_unattended(handle)]
    return bytes(data) if len(data) <= max_bytes else None


def _ranges(start: int, expected: int, limit: int) -> list[tuple[int, int]]:
    """Offsets and lengths to ask for: up to the expected end, at least one, none beyond the limit."""
    stop = min(max(expected, start + CHUNK), start + READS_AHEAD * CHUNK, limit)
    return [(at, min(CHUNK, stop - at)) for at in range(start, stop, CHUNK)]


def _append(data: bytearray, parts: Sequence[Reply], asked: Sequence[tuple[int, int]]) -> bool:
    """True at the end of the file. What follows a short part is asked for again, from where that part ended."""
    for part, (at, length) in zip(parts, asked, strict=True):
        if at == len(data):
            content = _expect(bytes, part)[:length]
            if not content:
                return True
            data += content
    return False


def rename(source: str, target: str, *, posix: bool) -> Task[None]:
    """``posix``: the server offers OpenSSH's extension; one that then refuses it gets the plain request."""
    if posix:
        try:
            yield [wire.posix_rename(source, target)]
        except StatusError as error:
            if error.code != wire.OP_UNSUPPORTED:
                raise
        else:
            return
    yield [wire.rename(source, target)]


def lstat(path: str) -> Task[Attributes]:
    (reply,) = yield [wire.on_path(wire.LSTAT, path)]
    return _expect(Attributes, reply)


def is_folder(path: str) -> Task[bool]:
    (reply,) = yield [wire.on_path(wire.STAT, path)]
    permissions = _expect(Attributes, reply).permissions
    return permissions is None or stat.S_ISDIR(permissions)


def remove(path: str) -> Task[None]:
    yield [wire.on_path(wire.REMOVE, path)]


def make_folder(path: str) -> Task[None]:
    yield [wire.make_folder(path)]


def remove_folder(path: str) -> Task[None]:
    yield [wire.on_path(wire.RMDIR, path)]


def open_folder(path: str) -> Task[bytes]:
    (reply,) = yield [wire.on_path(wire.OPENDIR, path)]
    return _expect(bytes, reply)


def next_names(handle: bytes, *, ahead: int) -> Task[tuple[list[NamedFile], bool]]:
    """Some more names of an open folder, asked for ``ahead`` times at once, and whether there may be more of them."""
    replies = yield [wire.on_handle(wire.READDIR, handle)] * ahead
    parts = [_expect(tuple, reply) for reply in replies if reply != b""]
    # An answer without names ends it too: a server could give them without end.
    return [named for part in parts for named in part], len(parts) == ahead and all(parts)


def free_bytes(folder: str) -> Task[int | None]:
    """Left on the folder's disk, where the server says it."""
    (reply,) = yield [wire.statvfs(folder)]
    return wire.parse_free_bytes(reply)


def close(handle: bytes) -> Task[None]:
    """Close a folder's handle without waiting for the reply."""
    yield [wire.close_unattended(handle)]


def _expect(kind: type[ReplyT], reply: Reply) -> ReplyT:
    if not isinstance(reply, kind):
        raise ProtocolViolation(Text("ssh.reply_of_other_kind"))
    return reply
