"""Archived copies of export files, in object storage under ``exports/{org_id}/{filename}``."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from tempfile import SpooledTemporaryFile
from threading import Event
from typing import IO, NamedTuple
from uuid import UUID

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages

from orderflow.messages import Message

ALIAS = "exports"
PARALLEL = 8
IN_MEMORY = 1024 * 1024

log = structlog.get_logger(__name__)


class ArchiveUnavailable(Exception):
    """A request to the object store failed; the text is its answer."""


class ArchiveAltered(Exception):
    """The archived copy is not what was sent."""


class PayloadRemoved(Exception):
    """Retention has removed the copy, at the time ``at``. The row keeps its name, size and sha256."""

    def __init__(self, at: datetime) -> None:
        self.message = Message("export.payload_removed", at=at.isoformat())
        super().__init__(self.message)
        self.at = at


class Copy(NamedTuple):
    key: str
    data: bytes


def folder(org_id: UUID) -> str:
    return f"exports/{org_id}"


def storage_key(org_id: UUID, filename: str) -> str:
    return f"{folder(org_id)}/{filename}"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put_all(copies: Sequence[Copy]) -> list[ArchiveUnavailable | None]:
    """Store copies in parallel, each verified by its size. Return None for a stored one."""
    if not copies:
        return []
    storage, down = storages[ALIAS], Event()
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(copies))) as pool:
        # What the threads log says whose copy it was: each takes the caller's context along.
        contexts = [copy_context() for _ in copies]
        return list(pool.map(lambda copy, context: context.run(_put, storage, copy, down), copies, contexts))


def remove_all(keys: Sequence[str]) -> list[ArchiveUnavailable | None]:
    """Delete copies in parallel. Return None for one that is deleted, or was not there."""
    if not keys:
        return []
    storage, down = storages[ALIAS], Event()
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(keys))) as pool:
        return list(pool.map(lambda key: _remove(storage, key, down), keys))


def read(key: str, *, expected_sha256: str) -> bytes:
    """Return the bytes of a copy. Raises `ArchiveUnavailable` or `ArchiveAltered`."""
    try:
        with storages[ALIAS].open(key, "rb") as stored:
            data: bytes = stored.read()
    except Exception as error:  # each storage backend raises errors of its own
        raise ArchiveUnavailable(f"{key}: {type(error).__name__}: {error}") from error
    if sha256(data) != expected_sha256:
        raise ArchiveAltered(f"{key}: its sha256 is not the one recorded when it was sent")
    return data


def open_verified(key: str, *, expected_sha256: str) -> IO[bytes]:
    """Return the whole verified file, at its start, spooled to disk if it is large. Raises as `read` does."""
    spooled, digest = SpooledTemporaryFile(max_size=IN_MEMORY), hashlib.sha256()  # noqa: SIM115  # the caller closes it
    try:
        with storages[ALIAS].open(key, "rb") as stored:
            for chunk in stored.chunks():
                digest.update(chunk)
                spooled.write(chunk)
    except Exception as error:  # each storage backend raises errors of its own
        spooled.close()
        raise ArchiveUnavailable(f"{key}: {type(error).__name__}: {error}") from error
    if digest.hexdigest() != expected_sha256:
        spooled.close()
        raise ArchiveAltered(f"{key}: its sha256 is not the one recorded when it was sent")
    spooled.seek(0)
    return spooled


def read_all(
    wanted: Sequence[tuple[str, str]],
) -> list[bytes | ArchiveUnavailable | ArchiveAltered]:
    """Read many copies by key and expected sha256; an error stands in the place of its file."""
    if not wanted:
        return []
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(wanted))) as pool:
        return list(pool.map(_read_or_error, wanted))


def _read_or_error(wanted: tuple[str, str]) -> bytes | ArchiveUnavailable | ArchiveAltered:
    key, expected = wanted
    try:
        return read(key, expected_sha256=expected)
    except (ArchiveUnavailable, ArchiveAltered) as error:
        return error


def _remove(storage: Storage, key: str, down: Event) -> ArchiveUnavailable | None:
    if down.is_set():
        return ArchiveUnavailable(f"{key}: not tried, the archive has just failed")
    try:
        storage.delete(key)
    except Exception as error:  # noqa: BLE001  # each storage backend raises errors of its own
        down.set()
        return ArchiveUnavailable(f"{key}: {type(error).__name__}: {error}")
    return None


def _put(storage: Storage, copy: Copy, down: Event) -> ArchiveUnavailable | None:
    if down.is_set():
        # An outage costs a batch one time-out, not one for each of its files.
        return ArchiveUnavailable(f"{copy.key}: not tried, the archive has just failed")
    try:
        name = storage.save(copy.key, ContentFile(copy.data))
        stored = storage.size(name)
    except Exception as error:  # noqa: BLE001  # each storage backend raises errors of its own
        down.set()
        log.warning("archive.unavailable", key=copy.key, error=f"{type(error).__name__}: {error}")
        return ArchiveUnavailable(f"{copy.key}: {type(error).__name__}: {error}")
    if name != copy.key or stored != len(copy.data):
        return ArchiveUnavailable(f"{copy.key}: stored as {name!r} with {stored} of {len(copy.data)} bytes")
    return None
