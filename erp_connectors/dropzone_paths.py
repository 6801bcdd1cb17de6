"""Paths in a dropzone, and the names of files there that are not orders: temporary files and probes.

No path of a folder ends with a slash, except the root, ``/``: `common_fields` normalises the folders of a config.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import NamedTuple

# Readers of order files ignore names with this ending.
TEMPORARY = ".tmp"
_WITHDRAWN = f".withdrawn{TEMPORARY}"
_TEMPORARY_NAME = re.compile(r"(?P<filename>.+)\.(?P<attempt>[1-9][0-9]*)(\.withdrawn)?\.tmp")
# A test that is still running must keep its files; it takes minutes at most.
PROBE_KEPT = timedelta(hours=1)
_NUMBERED = re.compile(r"(?P<name>.+)\.[0-9]+")
_STAMP = "%Y%m%d_%H%M%S_%f"
_PROBE_NAME = re.compile(r"test_connection_(?P<stamp>\d{8}_\d{6}_\d{6})(_[a-z0-9]+)?(\.json)?\.tmp")


def is_absolute(path: str) -> bool:
    """Return whether the path is absolute, without ``..`` and NUL."""
    pure = PurePosixPath(path)
    return pure.is_absolute() and ".." not in pure.parts and "\0" not in path


def normal_folder(path: str) -> str:
    """Return the path without repeated slashes, ``.``, and slashes at its end; the root stays ``/``.

    Two slashes at the beginning stay: on a server, they may begin another path.
    """
    return str(PurePosixPath(path.rstrip("/") or "/"))


def local_folder(path: str) -> str:
    """Return the normal folder of a path on this host, where several slashes are the same as one."""
    return str(PurePosixPath("/", *PurePosixPath(path).parts[1:]))


def join(folder: str, *names: str) -> str:
    """Return the path of a name in a normal folder, or in folders below it."""
    return "/".join(("" if folder == "/" else folder, *names))


def folder_of(path: str) -> str:
    return str(PurePosixPath(path).parent)


def name_of(path: str) -> str:
    return PurePosixPath(path).name


def is_within(path: str, folder: str) -> bool:
    """Return whether the path is the normal folder, or lies below it. Neither may contain links or ``..``."""
    return path == folder or path.startswith(join(folder, ""))


class TemporaryName(NamedTuple):
    filename: str
    attempt: int


def temporary(path: str, attempt: int) -> str:
    """Return the temporary path of one attempt: a late worker never writes into the file of a later attempt."""
    return f"{path}.{attempt}{TEMPORARY}"


def is_temporary(path: str) -> bool:
    return path.endswith(TEMPORARY)


def withdrawn(path: str) -> str:
    """Return the path to which a staged file is withdrawn: no worker publishes it, so a file there was not sent."""
    return path.removesuffix(TEMPORARY) + _WITHDRAWN


def read_temporary(name: str) -> TemporaryName | None:
    """Return the file name and attempt of a name that `temporary` or `withdrawn` made; None for any other name."""
    match = _TEMPORARY_NAME.fullmatch(name)
    return TemporaryName(match["filename"], int(match["attempt"])) if match else None


def numbered_name(name: str, number: int) -> str:
    """Return the name to which a poll moves an answer file whose own name is taken."""
    return f"{name}.{number}"


def unnumbered_name(name: str) -> str:
    """Return the name without the number that `numbered_name` adds; a name without a number as it is."""
    match = _NUMBERED.fullmatch(name)
    return match["name"] if match else name


def probe_name(part: str, *, now: datetime) -> str:
    """Return the name of a file that a connection test writes."""
    return f"test_connection_{now.astimezone(UTC):{_STAMP}}_{part}{TEMPORARY}"


def is_old_probe(name: str, *, now: datetime) -> bool:
    """Return whether the file was left by a connection test that was interrupted."""
    match = _PROBE_NAME.fullmatch(name)
    if match is None:
        return False
    try:
        written_at = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - written_at > PROBE_KEPT
