"""Push: an approved draft becomes PUSHING and gets one PENDING export; delivery is woken on commit.

This is step 1 of publishing exactly once. `delivery/deliver.py` has the others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from erp_connectors.archive import storage_key
from erp_connectors.dropzones import options_for_names
from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import connector_for
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.receiving_connection import receiving_connections
from erp_connectors.services.exports.retry_rule import (
    ALREADY_PUSHED,
    RetryRefusal,
    already_pushed,
    refusal_message,
    refuse_retry,
)
from orderflow import jobs, tracing
from orderflow.messages import Message, Refusal
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User

NAME_ATTEMPTS = 4

log = structlog.get_logger(__name__)


class PushRefused(Refusal):
    """The order was not pushed, and nothing was changed."""


class NotPushable(PushRefused):
    """The draft's status does not allow it."""


class AlreadyStarted(NotPushable):
    """The draft was pushed before; ``export`` is its newest."""

    def __init__(self, message: Message, export: ERPExport) -> None:
        super().__init__(message)
        self.export = export


class NoActiveConnection(PushRefused):
    """The org has no active connection to send with."""


@dataclass(frozen=True, slots=True)
class PushResult:
    export: ERPExport
    created: bool


@transaction.atomic
def push(draft_id: UUID, *, actor: User | None, idempotency_key: str | None = None) -> PushResult:
    """Start delivering an approved draft. Return the export that exists if it was pushed before.

    ``actor`` None is the system. ``idempotency_key`` is kept with the export. Raises `DraftOrder.DoesNotExist` (also
    for another org's draft), `NotPushable`, `AlreadyStarted` if it was pushed with another key, `NoActiveConnection`.
    """
    draft = lock_drafts([draft_id], actor).get()
    existing = _newest_export(draft) if draft.status in ALREADY_PUSHED else None
    if existing is not None:
        if idempotency_key and idempotency_key != existing.idempotency_key:
            raise AlreadyStarted(already_pushed(draft, existing.pk), existing)
        return PushResult(existing, created=False)
    if draft.status != DraftStatus.APPROVED:
        raise NotPushable(_not_approved(draft))
    connections = active_connections([draft])
    if not connections:
        raise NoActiveConnection(NO_CONNECTION)
    (export,) = create_exports([draft], connections, actor=actor, retry=False, key=idempotency_key or "")
    return PushResult(export, created=True)


@transaction.atomic
def retry_push(draft_id: UUID, *, actor: User | None) -> PushResult:
    """Start a new export for a draft in ERROR. Raises as `push` does."""
    draft = lock_drafts([draft_id], actor).get()
    newest, connections = _newest_export(draft), active_connections([draft])
    refused = retry_refused(draft, newest, connections)
    if refused is not None:
        raise refused
    (export,) = create_exports([draft], connections, actor=actor, retry=True)
    return PushResult(export, created=True)


def retry_refused(
    draft: DraftOrder, newest: ERPExport | None, connections: Collection[UUID]
) -> PushRefused | None:
    """Return the error if the push can't be retried. ``connections``: the active ones, by org."""
    newest_id = newest.pk if newest else None
    connected = partial(connections.__contains__, draft.org_id)
    refusal = refuse_retry(draft, newest_id, newest_id=newest_id, connected=connected)
    if refusal is None:
        return None
    message = refusal_message(refusal, draft, newest_id)
    if refusal is RetryRefusal.ALREADY_PUSHED and newest is not None:
        return AlreadyStarted(message, newest)
    return NoActiveConnection(message) if refusal is RetryRefusal.NO_CONNECTION else NotPushable(message)


@transaction.atomic
def push_many(draft_ids: Sequence[UUID], *, actor: User | None) -> Mapping[UUID, PushResult | PushRefused]:
    """Push many drafts in one transaction with a few statements. Return one result for each."""
    drafts = list(lock_drafts(draft_ids, actor))
    results: dict[UUID, PushResult | PushRefused] = {
        pk: NotPushable(Message("push.no_such_order")) for pk in {*draft_ids} - {draft.pk for draft in drafts}
    }
    results |= _already_started(drafts)
    approved = [draft for draft in drafts if draft.pk not in results and draft.status == DraftStatus.APPROVED]
    connections = active_connections(approved)
    exports = create_exports(
        [draft for draft in approved if draft.org_id in connections],
        connections,
        actor=actor,
        retry=False,
    )
    results |= {export.draft_order_id: PushResult(export, created=True) for export in exports}
    results |= {
        draft.pk: NoActiveConnection(NO_CONNECTION) for draft in approved if draft.org_id not in connections
    }
    for draft in drafts:
        results.setdefault(draft.pk, NotPushable(_not_approved(draft)))
    return results


def lock_drafts(draft_ids: Collection[UUID], actor: User | None) -> QuerySet[DraftOrder]:
    drafts = DraftOrder.objects.all() if actor is None else DraftOrder.objects.visible_to(actor)
    return drafts.select_for_update(of=("self",)).filter(pk__in=draft_ids).order_by("pk")


def _already_started(drafts: Sequence[DraftOrder]) -> dict[UUID, PushResult | PushRefused]:
    pushed = [draft for draft in drafts if draft.status in ALREADY_PUSHED]
    exports = ERPExport.objects.filter(draft_order__in=pushed).order_by("created_at")
    return {export.draft_order_id: PushResult(export, created=False) for export in exports}


def _newest_export(draft: DraftOrder) -> ERPExport | None:
    return ERPExport.objects.for_org(draft.org_id).filter(draft_order=draft).order_by("-created_at").first()


def _not_approved(draft: DraftOrder) -> Message:
    code = "push.order_in_error" if draft.status == DraftStatus.ERROR else "push.not_approved"
    return Message(code, order=str(draft), status=draft.status)


def create_exports(
    drafts: Sequence[DraftOrder],
    connections: Mapping[UUID, ERPConnection],
    *,
    actor: User | None,
    retry: bool,
    key: str = "",
) -> list[ERPExport]:
    """Create an export of each of these locked drafts, with another name if one is taken. Wake delivery on commit."""
    if not drafts:
        return []
    now, request = timezone.now(), str(structlog.contextvars.get_contextvars().get("request_id", ""))
    with tracing.span("push", attributes={"orders": len(drafts)}):
        exports = []
        for draft in drafts:
            assert draft.approved_at is not None  # noqa: S101  # READY -> APPROVED sets it
            exports.append(
                ERPExport(
                    org_id=draft.org_id,
                    connection=connections[draft.org_id],
                    draft_order=draft,
                    idempotency_key=key,
                    requested_by=actor,
                    request_id=request,
                    trace=tracing.here(),
                    approved_at=draft.approved_at,
                    created_at=now,
                )
            )
        options = {row.pk: options_for_names(row) for row in {export.connection for export in exports}}
        for attempts_left in reversed(range(NAME_ATTEMPTS)):
            for export in exports:
                connector = connector_for(export.connection.connector_type)
                export.export_format_version = connector.version
                export.filename = connector.filename(
                    export.draft_order_id, at=now, token=token_hex(4), options=options[export.connection_id]
                )
                export.export_storage_key = storage_key(export.org_id, export.filename)
            try:
                with transaction.atomic():
                    transitions.create(exports, actor=actor, retry=retry)
                break
            except IntegrityError as error:
                # A file name is taken, perhaps by another org, whose exports can't be looked up here.
                log.info("push.name_taken", error=str(error))
                if not attempts_left:
                    raise
        for connection in {export.connection_id for export in exports}:
            jobs.wake(jobs.Task.DELIVER, str(connection))
    return exports


def active_connections(drafts: Sequence[DraftOrder]) -> dict[UUID, ERPConnection]:
    """Return the connection that receives the new orders of each org of these drafts, by org."""
    rows = receiving_connections().filter(org__in={draft.org_id for draft in drafts}).defer("config")
    return {row.org_id: row for row in rows}
