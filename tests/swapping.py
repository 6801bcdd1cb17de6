"""Somebody who exchanges a folder for a link to another one, over and over, while others use it."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def swapping(folder: Path, elsewhere: Path, *, rests: float = 0) -> Iterator[None]:
    """Until the block ends; then the folder is itself again. ``rests``: so many seconds at most between two swaps."""
    stop, away = threading.Event(), folder.with_name(f"{folder.name}-away")

    def swap() -> None:
        while not stop.is_set():
            folder.rename(away)
            folder.symlink_to(elsewhere)
            folder.unlink()
            away.rename(folder)
            stop.wait(random.uniform(0, rests))

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        stop.set()
        swapper.join()
