"""A dropzone in folders of this machine, or mounted on it, inside the roots that the deployment allows."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from erp_connectors.dropzone_paths import folder_of, name_of
from erp_connectors.faults import NAME_TAKEN, NOT_FOUND, Fault
from erp_connectors.port_types import Entry, Move, ProbeStep, Upload
from erp_connectors.transports.base import Transport, TransportOptions, TransportPolicy
from erp_connectors.transports.filesystem.errors import fault_of
from erp_connectors.transports.filesystem.open_files import (
    LINK_REFUSED,
    claim_and_rename,
    entries,
    fill,
    is_one_file,
    open_own,
    read_file,
    require_linked,
    set_mode,
)
from erp_connectors.transports.filesystem.roots import Roots, destination_of
from orderflow.messages import Message

OPEN_AT_ONCE, SYNCED_AT_ONCE = 64, 8
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class FilesystemOptions(TransportOptions):
    """No options: the folders are enough."""

    on_this_machine: ClassVar[bool] = True


class FilesystemTransport(Transport):
    label = "Folder on this host"
    Options = FilesystemOptions
    opening = (("roots", "Folders this deployment allows"),)

    def __init__(self, options: FilesystemOptions, policy: TransportPolicy) -> None:
        self._roots = Roots(policy.dropzone_roots)
        self._folder = self._roots.folder
        self._remarks: set[Message] = set()

    def open_steps(self) -> Iterator[ProbeStep]:
        paths = self._roots.paths
        found = Message("test.roots", folders=", ".join(paths)) if paths else Message("test.no_roots")
        yield ProbeStep("roots", "Folders this deployment allows", 0, found=found)

    def remarks(self) -> Sequence[Message]:
        return sorted(self._remarks, key=lambda remark: remark.code)

    def close(self) -> None:
        pass

    def destination(self, folder: str) -> str:
        try:
            with self._folder(folder) as fd:
                return destination_of(fd)
        except (Fault, OSError):
            return "file://"

    def at(self, destination: str) -> AbstractContextManager[None]:
        return self._roots.at(destination)

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
                yield from entries(fd)
            except OSError as error:
                raise fault_of(error, folder) from error

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
                    raise Fault(NAME_TAKEN, Message("file.not_a_folder"), path=path)
        except OSError as error:
            raise fault_of(error, path) from error

    def _write(self, upload: Upload) -> int:
        """Write the whole file. Return its descriptor, still open."""
        with self._folder(folder_of(upload.path)) as folder:
            fd = open_own(name_of(upload.path), folder)
        try:
            fill(fd, upload)
            self._remarks |= set_mode(fd, upload)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _rename(self, move: Move) -> None:
        with self._folder(folder_of(move.source)) as source, self._folder(folder_of(move.target)) as target:
            try:
                os.rename(name_of(move.source), name_of(move.target), src_dir_fd=source, dst_dir_fd=target)
            except FileNotFoundError:
                require_linked(source, move.source)
                require_linked(target, move.target)
                raise

    def _move_one(self, move: Move) -> None:
        # A rename would replace an existing file; a link never does.
        with self._folder(folder_of(move.source)) as source, self._folder(folder_of(move.target)) as target:
            names = (name_of(move.source), name_of(move.target))
            try:
                os.link(*names, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
            except OSError as error:
                if error.errno in LINK_REFUSED:
                    claim_and_rename(*names, source=source, target=target)
                    return
                if error.errno != errno.EEXIST:
                    raise
            # After a link both names are one file, also if a process was killed right here after linking.
            if not is_one_file(*names, source, target):
                raise Fault(NAME_TAKEN, path=move.target)
            os.unlink(names[0], dir_fd=source)

    def _lstat(self, path: str) -> bool:
        with self._folder(folder_of(path)) as folder:
            try:
                os.stat(name_of(path), dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                require_linked(folder, path)
                raise
        return True

    def _unlink(self, path: str) -> bool:
        with self._folder(folder_of(path)) as folder:
            os.unlink(name_of(path), dir_fd=folder)
        return True

    def _read_one(self, path: str, max_bytes: int) -> bytes:
        with self._folder(folder_of(path)) as folder:
            return read_file(name_of(path), folder, path=path, max_bytes=max_bytes)

    def _make_durable(self, folders: set[str]) -> None:
        for folder in folders:
            with suppress(OSError, Fault), self._folder(folder) as fd:
                os.fsync(fd)

    def _ask(self, path: str, action: Callable[[], ResultT]) -> ResultT | Fault:
        try:
            return action()
        except Fault as fault:
            return fault
        except OSError as error:
            return fault_of(error, path)

    def _attempt(self, path: str, action: Callable[[], None]) -> Fault | None:
        return self._ask(path, action)


def _absent_as_false(answer: bool | Fault) -> bool | Fault:
    return False if isinstance(answer, Fault) and answer.kind is NOT_FOUND else answer
