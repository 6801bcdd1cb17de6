"""What can be done with files, as tasks for the pipeline. Each raises `StatusError` for its own file."""

import stat
from typing import cast

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import StatusError
from erp_connectors.sftp.pipeline import Task
from erp_connectors.sftp.wire import Attributes, Named, Reply

CHUNK = 32_000


def put(path: str, data: bytes, *, mode: int | None, sync: bool) -> Task[int | None]:
    """Write a file whole; returns the size that the server holds afterwards, None where it does not say."""
    (handle,) = cast(
        "list[bytes]", (yield [wire.open_file(path, wire.F_WRITE | wire.F_CREAT | wire.F_TRUNC)])
    )
    try:
        view = memoryview(data)
        requests = [wire.write(handle, at, view[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
        if mode is not None:
            requests.append(wire.set_mode(handle, mode))
        if sync:
            requests.append(wire.fsync(handle))
        if requests:
            yield requests
    except StatusError:
        yield from _close_quietly(handle)
        raise
    attributes, _ = cast(
        "tuple[Attributes, None]",
        (yield [wire.on_handle(wire.FSTAT, handle), wire.on_handle(wire.CLOSE, handle)]),
    )
    return attributes.size


def read(path: str, *, max_bytes: int) -> Task[bytes | None]:
    """The whole file; None where it is larger than ``max_bytes``, of which no more is read."""
    (handle,) = cast("list[bytes]", (yield [wire.open_file(path, wire.F_READ)]))
    data = bytearray()
    try:
        while len(data) <= max_bytes:
            (part,) = cast(
                "list[bytes]", (yield [wire.read(handle, len(data), min(CHUNK, max_bytes + 1 - len(data)))])
            )
            if not part:
                break
            data += part
    except StatusError as error:
        if error.code != wire.EOF:
            yield from _close_quietly(handle)
            raise
    yield [wire.on_handle(wire.CLOSE, handle)]
    return bytes(data) if len(data) <= max_bytes else None


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
    (attributes,) = yield [wire.on_path(wire.LSTAT, path)]
    return cast("Attributes", attributes)


def is_folder(path: str) -> Task[bool]:
    (attributes,) = yield [wire.on_path(wire.STAT, path)]
    permissions = cast("Attributes", attributes).permissions
    return permissions is None or stat.S_ISDIR(permissions)


def remove(path: str) -> Task[None]:
    yield [wire.on_path(wire.REMOVE, path)]


def make_folder(path: str) -> Task[None]:
    yield [wire.make_folder(path)]


def open_folder(path: str) -> Task[bytes]:
    (handle,) = yield [wire.on_path(wire.OPENDIR, path)]
    return cast("bytes", handle)


def next_names(handle: bytes) -> Task[tuple[Named, ...] | None]:
    """Some more names of an open folder; None at its end."""
    try:
        replies: list[Reply] = list((yield [wire.on_handle(wire.READDIR, handle)]))
    except StatusError as error:
        if error.code == wire.EOF:
            return None
        raise
    return cast("tuple[Named, ...]", replies[0])


def close(handle: bytes) -> Task[None]:
    yield [wire.on_handle(wire.CLOSE, handle)]


def _close_quietly(handle: bytes) -> Task[None]:
    try:
        yield [wire.on_handle(wire.CLOSE, handle)]
    except StatusError:
        return
