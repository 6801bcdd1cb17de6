"""The same key and the same request give the same answer, and the work is done once.

After draft-ietf-httpapi-idempotency-key-header. A claim is committed before the work begins, so that a second request
sees it; the answer is stored in the transaction of the work itself, so that a crash leaves both or neither. A claim
whose process died can be taken over after a while.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from django.db import transaction
from django.db.models import Q

from orderflow import clock
from orderflow.idempotency.models import KeyedRequest

KEPT = timedelta(hours=24)
# Longer than any request is let run by the web server.
MAX_WORKING_TIME = timedelta(seconds=60)
RETRY_AFTER_SECONDS = 1


class KeyReused(Exception):
    """The key was sent before with another request."""


class StillRunning(Exception):
    """The first request with this key has no answer yet."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request as its key sees it."""

    scope: str
    operation: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class StoredResponse:
    status: int
    body: str

    @property
    def changed_something(self) -> bool:
        return self.status < 400


def fingerprint(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def once(request: IdempotentRequest, work: Callable[[], StoredResponse]) -> tuple[StoredResponse, bool]:
    """The answer, and whether it was given before. Raises `KeyReused` and `StillRunning`.

    An answer that changed nothing is not kept: the request may be corrected and sent again with its key.
    """
    token = token_hex(16)
    stored = _claim(request, token)
    if stored is not None:
        return stored, True
    mine = KeyedRequest.objects.filter(
        scope=request.scope, operation=request.operation, key=request.key, token=token
    )
    try:
        with transaction.atomic():
            answer = work()
            if answer.changed_something and not mine.update(status=answer.status, body=answer.body):
                raise StillRunning  # it took so long that another request took over; undone with the transaction
            if not answer.changed_something:
                transaction.set_rollback(True)
    except BaseException:
        mine.delete()
        raise
    if not answer.changed_something:
        mine.delete()
    return answer, False


def forget_old(limit: int = 1000) -> int:
    """Returns how many are gone."""
    old = KeyedRequest.objects.filter(created_at__lt=clock.now() - KEPT).order_by("created_at")
    gone, _ = KeyedRequest.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()
    return gone


def _claim(request: IdempotentRequest, token: str) -> StoredResponse | None:
    """None: it is ours to do."""
    now = clock.now()
    fresh = KeyedRequest(
        scope=request.scope,
        operation=request.operation,
        key=request.key,
        fingerprint=request.fingerprint,
        token=token,
        until=now + MAX_WORKING_TIME,
        created_at=now,
    )
    # One statement in a transaction of its own: no claim waits for another, and a second claim sees the first.
    KeyedRequest.objects.bulk_create([fresh], ignore_conflicts=True)
    found = KeyedRequest.objects.get(scope=request.scope, operation=request.operation, key=request.key)
    if found.token == token:
        return None
    taken = KeyedRequest.objects.filter(pk=found.pk, token=found.token).filter(
        Q(created_at__lt=now - KEPT) | Q(body=None, until__lt=now)
    )
    if taken.update(
        token=token,
        fingerprint=request.fingerprint,
        until=now + MAX_WORKING_TIME,
        created_at=now,
        status=None,
        body=None,
    ):
        return None
    if found.fingerprint != request.fingerprint:
        raise KeyReused
    if found.body is None or found.status is None:
        raise StillRunning
    return StoredResponse(found.status, found.body)
