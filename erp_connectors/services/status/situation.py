"""What a page says of an order, an export or an ack file."""

from dataclasses import dataclass
from datetime import datetime

from erp_connectors.services.status.event_texts import Tone


@dataclass(frozen=True, slots=True)
class Situation:
    """``action`` names the one that is next; ``due`` is when something happens, ``due_label`` what."""

    tone: Tone
    state: str
    why: str = ""
    to_do: str = ""
    action: str = ""
    due: datetime | None = None
    due_label: str = ""
    note: str = ""
