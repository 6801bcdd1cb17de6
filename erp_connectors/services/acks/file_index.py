"""What is remembered of the files in an ack folder: under which name, and which of them are as they were."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.port_types import Entry

# A file name holds 255 bytes, and behind this one a number and ".reason.txt" must fit.
LONGEST = 230
_DIGEST = 16


def ledger_name(name: str) -> str:
    """The name a file is remembered and filed under: its own, where databases and other systems can hold it."""
    raw = os.fsencode(name)
    if name.isprintable() and len(raw) <= LONGEST:
        return name
    return f"{quote(raw)[: LONGEST - _DIGEST - 1]}~{sha256(raw).hexdigest()[:_DIGEST]}"


@dataclass(frozen=True, slots=True)
class Noted:
    """A file as it is listed now, and its row from an earlier poll."""

    entry: Entry
    row: AckFile | None

    @property
    def unchanged(self) -> bool:
        return self.row is not None and (self.row.size, self.row.mtime) == (self.entry.size, self.entry.mtime)

    @property
    def settled(self) -> bool:
        """Decided by an earlier poll, and not written anew since."""
        return self.row is not None and self.row.decided_at is not None and self.unchanged


def noted(connection: ERPConnection, entries: Sequence[Entry]) -> list[Noted]:
    """One statement for all of them; a name that a server lists twice is one file."""
    named = {ledger_name(entry.name): entry for entry in entries}
    rows = AckFile.objects.filter(connection=connection, name__in=named).present().defer("body")
    known = {row.name: row for row in rows}
    return [Noted(entry, known.get(name)) for name, entry in named.items()]
