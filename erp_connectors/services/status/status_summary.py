"""The value that a page shows for an order, an export or an ack file."""

from dataclasses import dataclass
from datetime import datetime

from erp_connectors.services.status.event_texts import Tone


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """``action``: the next one that a user can take. ``due``: the time of the next event, ``due_label`` its name."""

    tone: Tone
    state: str
    why: str = ""
    to_do: str = ""
    action: str = ""
    due: datetime | None = None
    due_label: str = ""
    note: str = ""
