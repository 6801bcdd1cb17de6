"""Retention periods of contents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

# The archive tells `recover_restored` what went out since a backup was taken.
MIN_ARCHIVE_DAYS = 30


class ContentKind(StrEnum):
    """Contents that retention removes: copies of order files, texts of ack files, events that prove nothing."""

    FILES = "files"
    ANSWERS = "answers"
    EVENTS = "events"


SETTINGS: Mapping[ContentKind, str] = {
    ContentKind.FILES: "RETENTION_ARCHIVE_DAYS",
    ContentKind.ANSWERS: "RETENTION_ACK_DAYS",
    ContentKind.EVENTS: "RETENTION_EVENT_DAYS",
}


class TooShort(ValueError):
    """A period that could take what is needed; the text says which, and what to write."""


@dataclass(frozen=True, slots=True)
class Periods:
    """In days, by kind; a kind that is missing is kept for ever. Raises `TooShort`."""

    days: Mapping[ContentKind, int]

    def __post_init__(self) -> None:
        days = self.days.get(ContentKind.FILES)
        if days is not None and days < MIN_ARCHIVE_DAYS:
            raise TooShort(
                f"Copies in the archive can't be removed after {days} days: write {MIN_ARCHIVE_DAYS} or more, or 0 "
                "to keep them for ever. After a restore they alone tell what was sent since the backup."
            )

    def before(self, kind: ContentKind, now: datetime) -> datetime | None:
        """Return the time before which contents of this kind may be removed."""
        days = self.days.get(kind)
        return now - timedelta(days=days) if days else None


def configured() -> Periods:
    found = {kind: getattr(settings, name) for kind, name in SETTINGS.items()}
    return Periods({kind: days for kind, days in found.items() if days})


def periods(older_than: int | None) -> Periods:
    """``older_than``: of everything, in place of the settings."""
    return configured() if older_than is None else Periods(dict.fromkeys(ContentKind, older_than))
