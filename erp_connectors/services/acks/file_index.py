"""The files that earlier polls have seen in an ack folder, under names that every system can hold."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import quote

from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.port_types import Entry

# A file name holds 255 bytes, and behind this one a number and ".reason.txt" must fit.
LONGEST = 230
_DIGEST = 16


def stored_name(name: str) -> str:
    """Return the name under which a file is stored and moved: its own if databases and other systems can hold it."""
    raw = os.fsencode(name)
    if name.isprintable() and len(raw) <= LONGEST:
        return name
    return f"{quote(raw)[: LONGEST - _DIGEST - 1]}~{sha256(raw).hexdigest()[:_DIGEST]}"


@dataclass(frozen=True, slots=True)
class ListedAck:
    """A file of the current listing; ``rows``: of earlier polls, one for each answer in it.

    ``export_filename``: the export that its name answers, empty if only its content says so.
    """

    entry: Entry
    export_filename: str
    rows: Sequence[AckFile] = ()

    @property
    def unchanged(self) -> bool:
        """True if its size and time are those of an earlier poll."""
        now = (self.entry.size, self.entry.mtime)
        return bool(self.rows) and all((row.size, row.mtime) == now for row in self.rows)

    @property
    def is_decided(self) -> bool:
        """True if earlier polls have decided all its answers, and it was not written anew since."""
        return self.unchanged and all(row.decided_at for row in self.rows)


def with_rows(connection: ERPConnection, files: Sequence[ListedAck]) -> list[ListedAck]:
    """Add the rows of earlier polls, with one statement. A name that a server lists twice is one file."""
    by_name = {stored_name(file.entry.name): file for file in files}
    rows: dict[str, list[AckFile]] = defaultdict(list)
    known = AckFile.objects.filter(connection=connection, name__in=by_name).present()
    for row in known.defer("body").order_by("part"):
        rows[row.name].append(row)
    return [replace(file, rows=rows[name]) for name, file in by_name.items()]
