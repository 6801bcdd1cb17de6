"""Files of the program's own are its user's alone, whatever the umask is: they hold orders."""

import os
from pathlib import Path
from typing import Any

FILE_MODE, FOLDER_MODE = 0o600, 0o700


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents for this user only; leave those that are there as they are."""
    for folder in reversed([path, *path.parents]):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def on_connection(connection: Any, **signal: Any) -> None:
    """Close an SQLite file to others; SQLite gives its journal and shared memory the mode of the file."""
    name = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor != "sqlite" or not name.is_file():
        return
    found = name.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o077:
        for file in (name, *(name.with_name(name.name + end) for end in ("-wal", "-shm"))):
            if file.exists():
                file.chmod(FILE_MODE)
