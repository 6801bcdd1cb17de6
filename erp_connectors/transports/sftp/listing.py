"""List an SFTP folder: part by part, within limits of names and time."""

import time
from collections.abc import Generator

from erp_connectors.sftp import errors, operations
from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.texts import Text
from erp_connectors.sftp.wire import NamedFile

FIRST_READS, READS_AHEAD = 4, 16
# The rest is for the next listing; a server could name files without end.
MAX_NAMES = 1_000_000
# All answers of one listing together may take so many times the time of one.
PATIENCE = 10


def names_in(
    channels: Channels, handle: bytes, *, io_timeout: float
) -> Generator[list[NamedFile], None, None]:
    """Yield the names in an open folder, in parts. Close the folder before the last part. Raises `SshError`."""
    ahead, count, more, waited = FIRST_READS, 0, True, 0.0
    names: list[NamedFile] = []
    try:
        while more and count < MAX_NAMES:
            yield names
            asked = time.monotonic()
            names, more = channels.run_one(operations.next_names(handle, ahead=ahead))
            # Only the server's time counts, not the caller's work on the names.
            waited += time.monotonic() - asked
            if waited > PATIENCE * io_timeout:
                raise errors.RequestTimeout(Text("ssh.endless_listing_in_time", seconds=round(waited)))
            ahead, count = READS_AHEAD, count + len(names)
    finally:
        # Also if the caller stops early: a kept session must not collect open folders.
        if channels.broken is None:
            channels.run_one(operations.close(handle))
    yield names
