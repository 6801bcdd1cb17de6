"""A dropzone in memory, for the tests of connectors: it behaves like a server, with the faults that a test sets."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import RLock

from erp_connectors.dropzone_paths import folder_of, join, name_of
from erp_connectors.faults import FOLDER_MISSING, NAME_TAKEN, NOT_A_FILE, NOT_FOUND, TOO_LARGE, Fault
from erp_connectors.port_types import Entry, Move, ProbeStep, Upload
from erp_connectors.transports.base import Contents, Outcomes, Presences, Transport
from orderflow.messages import Message, foreign


@dataclass
class MemoryDropzone:
    """Dropzone in memory, shared by its transports. ``failing`` maps an operation's name to the fault it answers with.

    Operations: open, stage, publish, exists, list, read, move, remove, make_folder.
    """

    folders: set[str] = field(default_factory=lambda: {"/"})
    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    failing: dict[str, Fault] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    clock: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lock: RLock = field(default_factory=RLock)

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """Write a file as the ERP would. Raise `Fault` FOLDER_MISSING."""
        with self.lock:
            self.require_folder_of(path)
            self.files[path], self.times[path] = data, next(self.clock)
            if mode is not None:
                self.modes[path] = mode

    def require_folder_of(self, path: str) -> None:
        folder = folder_of(path)
        if folder not in self.folders:
            raise Fault(FOLDER_MISSING, path=folder)


class MemoryTransport(Transport):
    def __init__(self, dropzone: MemoryDropzone) -> None:
        self._zone = dropzone

    def open_steps(self) -> Iterator[ProbeStep]:
        yield ProbeStep(
            "memory", "Memory", 0, found=foreign("a dropzone in memory"), fault=self._zone.failing.get("open")
        )

    def close(self) -> None:
        pass

    def destination(self, folder: str) -> str:
        return "memory://"

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        return [
            self._attempt("stage", lambda u=upload: self._zone.write(u.path, u.data, u.mode))  # type: ignore[misc]
            for upload in uploads
        ]

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        return [self._attempt("publish", lambda m=move: self._rename(m)) for move in moves]  # type: ignore[misc]

    def _move(self, moves: Sequence[Move]) -> Outcomes:
        return [self._attempt("move", lambda m=move: self._rename(m)) for move in moves]  # type: ignore[misc]

    def _exists(self, paths: Sequence[str]) -> Presences:
        return [self._present("exists", path) for path in paths]

    def _remove(self, paths: Sequence[str]) -> Presences:
        return [self._remove_one(path) for path in paths]

    def _read(self, paths: Sequence[str], *, max_bytes: int) -> Contents:
        return [self._read_one(path, max_bytes) for path in paths]

    def _list(self, folder: str) -> Iterator[Entry]:
        zone = self._zone
        if fault := zone.failing.get("list"):
            raise fault
        zone.require_folder_of(join(folder, "x"))
        for path, data in list(zone.files.items()):
            if folder_of(path) == folder:
                yield Entry(name_of(path), len(data), zone.times[path], is_file=True)
        for path in list(zone.folders):
            if path != folder and folder_of(path) == folder:
                yield Entry(name_of(path), 0, 1, is_file=False)

    def _make_folder(self, path: str) -> None:
        if fault := self._zone.failing.get("make_folder"):
            raise fault
        self._zone.require_folder_of(path)
        if path in self._zone.files:
            raise Fault(NAME_TAKEN, Message("file.not_a_folder"), path=path)
        self._zone.folders.add(path)

    def _rename(self, move: Move) -> None:
        zone = self._zone
        for path in (move.target, move.source):
            zone.require_folder_of(path)
        if move.source not in zone.files:
            raise Fault(NOT_FOUND, path=move.source)
        if move.target in zone.files:
            raise Fault(NAME_TAKEN, path=move.target)
        zone.files[move.target] = zone.files.pop(move.source)
        zone.times[move.target] = next(zone.clock)

    def _present(self, operation: str, path: str) -> bool | Fault:
        fault = self._attempt(operation, lambda: self._zone.require_folder_of(path))
        return fault or path in self._zone.files or path in self._zone.folders

    def _remove_one(self, path: str) -> bool | Fault:
        with self._zone.lock:
            present = self._present("remove", path)
            return present if isinstance(present, Fault) else self._zone.files.pop(path, None) is not None

    def _read_one(self, path: str, max_bytes: int) -> bytes | Fault:
        present = self._present("read", path)
        if isinstance(present, Fault):
            return present
        data = self._zone.files.get(path)
        if data is None:
            return Fault(NOT_A_FILE if present else NOT_FOUND, path=path)
        return data if len(data) <= max_bytes else Fault(TOO_LARGE, path=path)

    def _attempt(self, operation: str, action: Callable[[], None]) -> Fault | None:
        with self._zone.lock:
            try:
                if fault := self._zone.failing.get(operation):
                    return fault
                action()
            except Fault as fault:
                return fault
        return None
