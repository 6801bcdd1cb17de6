"""What takes seconds to make and is copied from then on: the first process of a test run that asks for it makes it."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

FOLDER = "TESTS_TEMPLATES"  # the variable that names where they are; a run that a test starts uses the same


def template(name: str, make: Callable[[Path], None]) -> Path | None:
    """Return a folder that ``make`` has filled; None outside of a test run, where nothing is made twice."""
    if FOLDER not in os.environ:
        return None
    folder = Path(os.environ[FOLDER]) / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            make(folder / "made")
            (folder / "done").touch()
    return folder / "made"
