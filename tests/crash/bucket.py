"""Cells of the crash matrix in a bucket: an ERP that polls it, and what was ever visible, by the bucket's versions."""

import threading
import time
from collections import Counter
from pathlib import Path

from botocore.exceptions import ClientError

from tests.crash.cells import Cell
from tests.crash.erp import FINAL, Seen
from tests.servers.bucket_path import BucketPath


class BucketErp:
    """Watches until `close`. ``takes`` each file, or leaves it. Without versions, it counts what it took."""

    def __init__(self, inbox: BucketPath, *, takes: bool, versions: bool) -> None:
        self.seen = Seen()
        self.inbox, self._takes, self._versions = inbox, takes, versions
        self._done = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._watch, name="erp", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait until what has appeared was seen, and taken where it is to be taken."""
        deadline = time.monotonic() + 60
        while self._unseen():
            assert self._failure is None, f"the ERP stopped: {self._failure!r}"
            assert time.monotonic() < deadline, "the ERP missed a file"
            time.sleep(0.02)
        if self._versions:
            self.seen.appeared = self.inbox.appeared(FINAL)

    def close(self) -> None:
        self._done.set()
        self._thread.join()

    def _unseen(self) -> set[str]:
        final = {name for name in self.inbox.names() if name.endswith(FINAL)}
        return final if self._takes else final - self.seen.contents.keys()

    def _watch(self) -> None:
        try:
            while not self._done.wait(0.02):
                for name in self.inbox.names():
                    if name.endswith(FINAL) and (self._takes or name not in self.seen.contents):
                        self._read(name)
        except Exception as error:  # noqa: BLE001  # the thread's edge: `settle` fails by it
            self._failure = error

    def _read(self, name: str) -> None:
        try:
            body = (self.inbox / name).read_bytes()
        except ClientError:
            return
        # Recorded before it is taken: then nothing is there any more, and `settle` returns.
        self.seen.contents[name].add(body)
        if self._takes:
            self.seen.appeared += Counter([name]) if not self._versions else Counter()
            (self.inbox / name).unlink()


class BucketCell(Cell):
    @property
    def bucket_erp(self) -> BucketErp:
        assert isinstance(self.erp, BucketErp)
        return self.erp

    def leftovers(self) -> list[str]:
        return sorted(name for name in self.bucket_erp.inbox.names() if not name.endswith(FINAL))


NO_FOLDER = Path("/nonexistent")
