"""A dropzone in folders of this machine, or mounted on it, held inside the roots that the deployment allows.

Folders are opened component by component from their root, following no link, and files are reached only relative
to the opened folder: what was checked is what is used, also while somebody swaps names underneath.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, TypeVar

from erp_connectors.dropzone_paths import folder_of, is_within, name_of
from erp_connectors.faults import (
    DESTINATION_MOVED,
    DISK_FULL,
    FOLDER_MISSING,
    NAME_TAKEN,
    NOT_A_FILE,
    NOT_FOUND,
    OUTSIDE_ROOTS,
    PERMISSION_DENIED,
    REMOTE_FAILURE,
    SIZE_MISMATCH,
    TOO_LARGE,
    Fault,
    FaultKind,
)
from erp_connectors.port_types import Entry, Move, ProbeStep, Upload
from erp_connectors.transports.base import Transport, TransportOptions, TransportPolicy, mode_remark

FILE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
FAULT_OF_ERRNO: dict[int, FaultKind] = {
    errno.ENOENT: NOT_FOUND,
    errno.EEXIST: NAME_TAKEN,
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EFBIG: DISK_FULL,
    errno.EACCES: PERMISSION_DENIED,
    errno.EPERM: PERMISSION_DENIED,
    errno.EROFS: PERMISSION_DENIED,
    errno.EISDIR: NOT_A_FILE,
    errno.ELOOP: NOT_A_FILE,
    errno.ENXIO: NOT_A_FILE,
}
OPEN_AT_ONCE, SYNCED_AT_ONCE = 64, 8
# A share without hard links, or (on Linux) a file that belongs to the ERP's user.
LINK_REFUSED = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class FilesystemOptions(TransportOptions):
    """None: the folders say it all."""

    on_this_machine: ClassVar[bool] = True


class FilesystemTransport(Transport):
    label = "Folder on this machine"
    Options = FilesystemOptions
    opening = (("roots", "Folders this deployment allows"),)

    def __init__(self, options: FilesystemOptions, policy: TransportPolicy) -> None:
        self._roots = [os.path.realpath(root) for root in policy.dropzone_roots]
        self._remarks: set[str] = set()
        self._expected = ""

    def open_steps(self) -> Iterator[ProbeStep]:
        yield ProbeStep("roots", "Folders this deployment allows", 0, found=", ".join(self._roots) or "none")

    def remarks(self) -> Sequence[str]:
        return sorted(self._remarks)

    def close(self) -> None:
        pass

    def destination(self, folder: str) -> str:
        try:
            with self._folder(folder) as fd:
                return _destination(fd)
        except (Fault, OSError):
            return "file://"

    @contextmanager
    def at(self, destination: str) -> Iterator[None]:
        before, self._expected = self._expected, destination
        try:
            yield
        finally:
            self._expected = before

    def _stage(self, uploads: Sequence[Upload]) -> list[Fault | None]:
        self._remarks.clear()
        # Written first, made durable together: the disk then takes many files in one go.
        with ThreadPoolExecutor(SYNCED_AT_ONCE, "fsync") as pool:
            return [
                outcome
                for start in range(0, len(uploads), OPEN_AT_ONCE)
                for outcome in self._stage_some(uploads[start : start + OPEN_AT_ONCE], pool)
            ]

    def _stage_some(self, uploads: Sequence[Upload], pool: Executor) -> list[Fault | None]:
        written = [self._ask(upload.path, lambda u=upload: self._write(u)) for upload in uploads]  # type: ignore[misc]
        return list(pool.map(self._make_file_durable, uploads, written))

    def _make_file_durable(self, upload: Upload, written: int | Fault) -> Fault | None:
        if isinstance(written, Fault):
            return written
        try:
            return self._attempt(upload.path, lambda: os.fsync(written))
        finally:
            os.close(written)

    def _publish(self, moves: Sequence[Move]) -> list[Fault | None]:
        outcomes = [self._attempt(move.source, lambda m=move: self._rename(m)) for move in moves]  # type: ignore[misc]
        self._make_durable({folder_of(move.target) for move in moves})
        return outcomes

    def _exists(self, paths: Sequence[str]) -> list[bool | Fault]:
        return [_absent_as_false(self._ask(path, lambda p=path: self._lstat(p))) for path in paths]  # type: ignore[misc]

    def _list(self, folder: str) -> Iterator[Entry]:
        with self._folder(folder) as fd:
            try:
                yield from _entries(fd)
            except OSError as error:
                raise _fault(error, folder) from error

    def _read(self, paths: Sequence[str], *, max_bytes: int) -> list[bytes | Fault]:
        return [self._ask(path, lambda p=path: self._read_one(p, max_bytes)) for path in paths]  # type: ignore[misc]

    def _move(self, moves: Sequence[Move]) -> list[Fault | None]:
        return [self._attempt(move.source, lambda m=move: self._move_one(m)) for move in moves]  # type: ignore[misc]

    def _remove(self, paths: Sequence[str]) -> list[bool | Fault]:
        return [_absent_as_false(self._ask(path, lambda p=path: self._unlink(p))) for path in paths]  # type: ignore[misc]

    def _make_folder(self, path: str) -> None:
        try:
            with self._folder(folder_of(path)) as parent:
                with suppress(FileExistsError):
                    os.mkdir(name_of(path), dir_fd=parent)
                if not stat.S_ISDIR(os.stat(name_of(path), dir_fd=parent, follow_symlinks=False).st_mode):
                    raise Fault(NAME_TAKEN, "It is not a folder.", path=path)
        except OSError as error:
            raise _fault(error, path) from error

    def _write(self, upload: Upload) -> int:
        """The file, written whole and still open."""
        with self._folder(folder_of(upload.path)) as folder:
            fd = _open_own(name_of(upload.path), folder)
        try:
            _fill(fd, upload)
            self._remarks |= _set_mode(fd, upload)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _rename(self, move: Move) -> None:
        with self._folder(folder_of(move.source)) as source, self._folder(folder_of(move.target)) as target:
            try:
                os.rename(name_of(move.source), name_of(move.target), src_dir_fd=source, dst_dir_fd=target)
            except FileNotFoundError:
                _require_linked(source, move.source)
                _require_linked(target, move.target)
                raise

    def _move_one(self, move: Move) -> None:
        # A rename would replace an existing file; a link never does.
        with self._folder(folder_of(move.source)) as source, self._folder(folder_of(move.target)) as target:
            names = (name_of(move.source), name_of(move.target))
            try:
                os.link(*names, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except OSError as error:
                if error.errno in LINK_REFUSED:
                    _claim_and_rename(*names, source=source, target=target)
                    return
                if error.errno != errno.EEXIST:
                    raise
            # Both names are one file after a link, also one that was made by a process killed right here.
            if not _is_one_file(*names, source, target):
                raise Fault(NAME_TAKEN, path=move.target)
            os.unlink(names[0], dir_fd=source)

    def _lstat(self, path: str) -> bool:
        with self._folder(folder_of(path)) as folder:
            try:
                os.stat(name_of(path), dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                _require_linked(folder, path)
                raise
        return True

    def _unlink(self, path: str) -> bool:
        with self._folder(folder_of(path)) as folder:
            os.unlink(name_of(path), dir_fd=folder)
        return True

    def _read_one(self, path: str, max_bytes: int) -> bytes:
        with self._folder(folder_of(path)) as folder:
            fd = os.open(name_of(path), os.O_RDONLY | FILE_FLAGS, dir_fd=folder)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise Fault(NOT_A_FILE, path=path)
                with os.fdopen(fd, "rb", closefd=False) as file:
                    data = file.read(max_bytes + 1)
            finally:
                os.close(fd)
        if len(data) > max_bytes:
            raise Fault(TOO_LARGE, f"More than {max_bytes} bytes.", path=path)
        return data

    def _make_durable(self, folders: set[str]) -> None:
        for folder in folders:
            with suppress(OSError, Fault), self._folder(folder) as fd:
                os.fsync(fd)

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        fd = self._open_folder(path)
        try:
            if self._expected and _destination(fd) != self._expected:
                raise Fault(DESTINATION_MOVED, path=path)
            yield fd
        finally:
            os.close(fd)

    def _open_folder(self, path: str) -> int:
        try:
            resolved = os.path.realpath(path, strict=True)
            root = next((root for root in self._roots if is_within(resolved, root)), None)
            if root is None:
                raise Fault(OUTSIDE_ROOTS, path=path)
            return _walk_down(root, PurePosixPath(resolved).relative_to(root).parts)
        except (FileNotFoundError, NotADirectoryError):
            # A name outside the roots must not even tell whether it exists.
            raise Fault(FOLDER_MISSING if self._leads_inside(path) else OUTSIDE_ROOTS, path=path) from None
        except OSError as error:
            raise _fault(error, path) from error

    def _leads_inside(self, path: str) -> bool:
        try:
            resolved = os.path.realpath(path)
        except OSError:  # a link that vanishes between its being seen and its being read
            return False
        return any(is_within(resolved, root) for root in self._roots)

    def _ask(self, path: str, action: Callable[[], ResultT]) -> ResultT | Fault:
        try:
            return action()
        except Fault as fault:
            return fault
        except OSError as error:
            return _fault(error, path)

    def _attempt(self, path: str, action: Callable[[], None]) -> Fault | None:
        return self._ask(path, action)


def _destination(folder: int) -> str:
    return f"file://{os.fstat(folder).st_ino}"


def _require_linked(folder: int, path: str) -> None:
    """Raise `Fault` FOLDER_MISSING if the open folder was deleted: an absence in it proves nothing."""
    if os.fstat(folder).st_nlink == 0:
        raise Fault(FOLDER_MISSING, path=path)


def _open_own(name: str, folder: int) -> int:
    """A file under this name, and no other, to be written from its start."""
    flags = os.O_WRONLY | os.O_CREAT | FILE_FLAGS
    fd = os.open(name, flags, 0o666, dir_fd=folder)
    if os.fstat(fd).st_nlink > 1:
        # Somebody else's file may have been linked here, to have it overwritten.
        os.close(fd)
        os.unlink(name, dir_fd=folder)
        return os.open(name, flags | os.O_EXCL, 0o666, dir_fd=folder)
    return fd


def _fill(fd: int, upload: Upload) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise Fault(NOT_A_FILE, path=upload.path)
    os.ftruncate(fd, 0)
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(upload.data)
    size = os.fstat(fd).st_size
    if size != len(upload.data):
        raise Fault(SIZE_MISMATCH, f"{size} of {len(upload.data)} bytes.", path=upload.path)


def _set_mode(fd: int, upload: Upload) -> set[str]:
    """What is to be said about it: shares that keep no such bits refuse them, which must not stop an order."""
    if upload.mode is None:
        return set()
    with suppress(OSError):
        os.fchmod(fd, upload.mode)
    return {remark} if (remark := mode_remark(upload, os.fstat(fd).st_mode)) else set()


def _walk_down(root: str, parts: Sequence[str]) -> int:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _entries(folder: int) -> Iterator[Entry]:
    with os.scandir(folder) as names:
        for name in names:
            with suppress(FileNotFoundError):
                info = name.stat(follow_symlinks=False)
                yield Entry(name.name, info.st_size, int(info.st_mtime), stat.S_ISREG(info.st_mode))


def _claim_and_rename(name: str, new_name: str, *, source: int, target: int) -> None:
    # The name is taken with an empty file or folder of ours, so that the rename replaces nothing else.
    if stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
        os.mkdir(new_name, dir_fd=target)
        let_go = os.rmdir
    else:
        os.close(os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE_FLAGS, 0o666, dir_fd=target))
        let_go = os.unlink
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except OSError:
        let_go(new_name, dir_fd=target)
        raise


def _is_one_file(name: str, other: str, source: int, target: int) -> bool:
    return os.path.samestat(
        os.stat(name, dir_fd=source, follow_symlinks=False),
        os.stat(other, dir_fd=target, follow_symlinks=False),
    )


def _absent_as_false(answer: bool | Fault) -> bool | Fault:
    return False if isinstance(answer, Fault) and answer.kind is NOT_FOUND else answer


def _fault(error: OSError, path: str) -> Fault:
    kind = FAULT_OF_ERRNO.get(error.errno or 0, REMOTE_FAILURE)
    return Fault(kind, f"{error.strerror}.", path=path)
