"""Date before which archived copies may have been deleted.

It is stored in the archive, because a restored database would not know it.
"""

from datetime import datetime
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from erp_connectors.archive import ALIAS, ArchiveUnavailable


def key(org_id: UUID) -> str:
    return f"retention/{org_id}.txt"


def watermark(org_id: UUID) -> datetime | None:
    """Return the watermark; None if no copy was ever removed. Raises `ArchiveUnavailable`."""
    storage, name = storages[ALIAS], key(org_id)
    try:
        if not storage.exists(name):
            return None
        with storage.open(name, "rb") as stored:
            return datetime.fromisoformat(stored.read().decode().strip())
    except Exception as error:  # each storage backend raises errors of its own
        raise ArchiveUnavailable(f"{name}: {type(error).__name__}: {error}") from error


def advance_watermark(org_id: UUID, to: datetime) -> None:
    """Advance the watermark to ``to``, never back, before older copies are removed. Raises `ArchiveUnavailable`."""
    now = watermark(org_id)
    if now is not None and now >= to:
        return
    try:
        storages[ALIAS].save(key(org_id), ContentFile(f"{to.isoformat()}\n".encode()))
    except Exception as error:  # each storage backend raises errors of its own
        raise ArchiveUnavailable(f"{key(org_id)}: {type(error).__name__}: {error}") from error
