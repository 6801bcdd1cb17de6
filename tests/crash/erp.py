"""An ERP that watches its folder: the kernel tells it of every name that appears, however shortly.

inotify queues its events in order and loses none, so the record holds whatever was ever visible.
"""

import ctypes
import os
import select
import struct
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MODIFIED, CREATED, MOVED_IN = 0x2, 0x100, 0x80
EVENT = struct.Struct("iIII")
FINAL = (".json", ".csv")


@dataclass
class Seen:
    """What happened under final names: how often each appeared, what could be read, what a reader could see change."""

    appeared: Counter[str] = field(default_factory=Counter)
    contents: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    unfinished: set[str] = field(default_factory=set)


class Erp:
    """Watches until `close`. ``takes`` each file the moment it appears, or leaves it."""

    def __init__(self, folder: Path, *, takes: bool) -> None:
        self.seen = Seen()
        self._folder = folder
        self._takes = takes
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), MODIFIED | CREATED | MOVED_IN)
        if self._fd < 0 or watch < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="erp", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait until what has appeared was seen, and taken where it is to be taken."""
        deadline = time.monotonic() + 60
        while self._unseen():
            assert time.monotonic() < deadline, "the ERP missed a file"
            time.sleep(0.002)

    def close(self) -> None:
        """Reads what is still queued, then ends; safe more than once."""
        self._done.set()
        self._thread.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _unseen(self) -> set[str]:
        final = {path.name for path in self._folder.iterdir() if path.suffix in FINAL}
        return final if self._takes else final - self.seen.contents.keys()

    def _watch(self) -> None:
        while self._events_within(0 if self._done.is_set() else 0.05) or not self._done.is_set():
            pass

    def _events_within(self, seconds: float) -> bool:
        ready = bool(select.select([self._fd], [], [], seconds)[0])
        if ready:
            self._read_events()
        return ready

    def _read_events(self) -> None:
        data = os.read(self._fd, 1 << 16)
        while data:
            _, mask, _, length = EVENT.unpack_from(data)
            name = data[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
            data = data[EVENT.size + length :]
            if name.endswith(FINAL):
                self._note(name, mask)

    def _note(self, name: str, mask: int) -> None:
        if mask & MOVED_IN:
            self.seen.appeared[name] += 1
        else:
            # Created or written under its final name: whoever looked then saw half a file.
            self.seen.unfinished.add(name)
        with suppress(FileNotFoundError):
            body = (self._folder / name).read_bytes()
            self.seen.contents[name].add(body)  # seen once it is read, not before
            if self._takes:
                (self._folder / name).unlink()
