"""Folders for processed ack files, below the ack folder."""

from datetime import timedelta
from uuid import UUID

from erp_connectors.models import AckFile
from orderflow import clock

PROCESSED = "processed"
ERROR = "error"
# Behind the name of a file in error/: why it lies there.
REASON_SUFFIX = ".reason.txt"


def retry_moves(connection_id: UUID) -> None:
    """Let the next poll move what could not be moved: the rights or the folder may be others now."""
    waiting = AckFile.objects.filter(connection=connection_id, move_retry_at__isnull=False)
    # In the past, so that two readings of the clock cannot hide it from a poll that begins now.
    waiting.present().update(move_retry_at=clock.now() - timedelta(minutes=1))
