"""Show the progress of a long command on a terminal."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

WIDTH = 40
SECONDS_BETWEEN = 0.1


class ProgressBar:
    def __init__(self, whole: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.whole = max(whole, 1)
        self.shown = self.stream.isatty()
        self.started = self.drawn = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def at(self, done: int) -> None:
        now = time.monotonic()
        if not self.shown or now - self.drawn < SECONDS_BETWEEN:
            return
        self.drawn = now
        share = min(done / self.whole, 1)
        left = (now - self.started) * (1 - share) / share if share else 0
        bar = ("#" * round(WIDTH * share)).ljust(WIDTH, ".")
        self._write(f"\r[{bar}] {share:4.0%}, {left:.0f} s left\x1b[K")

    def clear(self) -> None:
        if self.shown:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
