"""API tokens, and the counts of throttles."""

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from knox.models import AbstractAuthToken

from orderflow.input_rules.fields import OneLineField


class Token(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """A program's key to the API. Only its digest is kept."""

    # The primary key is the digest, which is never shown.
    public_id = models.UUIDField(unique=True, default=uuid4, editable=False)
    name = OneLineField(max_length=100, blank=True, default="")

    def __str__(self) -> str:
        return self.name or str(self.public_id)


class ThrottleCount(models.Model):
    """The count of an action in one span of time, exact over all processes."""

    key = models.CharField(max_length=120, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key

    @classmethod
    def wait(cls, key: str, *, limit: int, per: timedelta, now: datetime | None = None) -> timedelta | None:
        """Counts one. None: it was within the limit; else how long until the next span begins."""
        now = now or timezone.now()
        span = int(now.timestamp() // per.total_seconds())
        ends_at = datetime.fromtimestamp((span + 1) * per.total_seconds(), tz=now.tzinfo)
        if cls._counted(f"{key}:{span}", ends_at, now) <= limit:
            return None
        return ends_at - now

    @classmethod
    def _counted(cls, key: str, ends_at: datetime, now: datetime) -> int:
        with transaction.atomic():
            row = cls.objects.filter(pk=key)
            if not row.update(count=F("count") + 1):
                cls.objects.filter(ends_at__lt=now).delete()
                ThrottleCount.objects.bulk_create(
                    [ThrottleCount(key=key, ends_at=ends_at)], ignore_conflicts=True
                )
                row.update(count=F("count") + 1)
            # The update holds the row, so this is our own number.
            return row.get().count
