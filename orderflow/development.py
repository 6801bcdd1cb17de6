"""Secrets for a machine that holds no real orders: made once, kept under ``var/``."""

import os
import secrets
from pathlib import Path


def secret(name: str, folder: Path) -> str:
    """The value kept in ``folder/name``; made on first use, readable by its owner only."""
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        value = secrets.token_hex(32)
        file.write(value)
    return value
