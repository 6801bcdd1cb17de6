"""Retry the pushes of many orders at once, or say what a retry would do to each export."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from uuid import UUID

from django.db import transaction

from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import (
    NotPushable,
    PushRefused,
    PushResult,
    active_connections,
    create_exports,
    lock_drafts,
    retry_refused,
)
from erp_connectors.services.exports.retry_rule import refusal_message, refuse_retry, retry_effect
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.tenancy.models import User

MAX_EXPORTS = 1000


class RetryOutcome(StrEnum):
    RETRY = "RETRY"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class RetryResult:
    """The result for one export. ``new_export_id`` is None in a dry run or if refused.

    ``why``: what the retry does, or why it is refused.
    """

    export_id: UUID
    outcome: RetryOutcome
    why: Message
    draft_order_id: UUID | None = None
    order_number: str = ""
    new_export_id: UUID | None = None


@transaction.atomic
def retry_many(draft_ids: Collection[UUID], *, actor: User) -> Mapping[UUID, PushResult | PushRefused]:
    """Retry the pushes of many orders with a few statements; return a result for each id."""
    drafts = list(lock_drafts(draft_ids, actor))
    newest, connections = newest_exports(drafts), active_connections(drafts)
    results: dict[UUID, PushResult | PushRefused] = {
        pk: NotPushable(Message("push.no_such_order")) for pk in {*draft_ids} - {draft.pk for draft in drafts}
    }
    wanted = []
    for draft in drafts:
        refused = retry_refused(draft, newest.get(draft.pk), connections)
        if refused is None:
            wanted.append(draft)
        else:
            results[draft.pk] = refused
    exports = create_exports(wanted, connections, actor=actor, retry=True)
    return results | {export.draft_order_id: PushResult(export, created=True) for export in exports}


@transaction.atomic
def retry_exports(export_ids: Sequence[UUID], *, actor: User, dry_run: bool) -> list[RetryResult]:
    """Return a result for each export, in their order; at most `MAX_EXPORTS`. A dry run changes nothing."""
    visible = ERPExport.objects.visible_to(actor).filter(pk__in=export_ids)
    draft_ids: dict[UUID, UUID] = dict(visible.values_list("pk", "draft_order"))
    drafts = {draft.pk: draft for draft in lock_drafts({*draft_ids.values()}, actor)}
    newest, connections = newest_exports([*drafts.values()]), active_connections([*drafts.values()])
    results, wanted = list[RetryResult](), list[DraftOrder]()
    for pk in dict.fromkeys(export_ids):
        if pk not in draft_ids:
            results.append(RetryResult(pk, RetryOutcome.REFUSED, Message("retry.no_such_export")))
            continue
        draft = drafts[draft_ids[pk]]
        last = newest[draft.pk]
        refusal = refuse_retry(
            draft, pk, newest_id=last.pk, connected=partial(connections.__contains__, draft.org_id)
        )
        known = RetryResult(pk, RetryOutcome.RETRY, retry_effect(last), draft.pk, str(draft))
        if refusal is None:
            wanted.append(draft)
        else:
            why = refusal_message(refusal, draft, last.pk)
            known = replace(known, outcome=RetryOutcome.REFUSED, why=why)
        results.append(known)
    if dry_run:
        return results
    exports = create_exports(wanted, connections, actor=actor, retry=True)
    made = {newest[export.draft_order_id].pk: export.pk for export in exports}
    return [replace(one, new_export_id=made.get(one.export_id)) for one in results]


def newest_exports(drafts: Sequence[DraftOrder]) -> dict[UUID, ERPExport]:
    """Return the newest export of each order, with the columns that `retry_rule` needs."""
    exports = ERPExport.objects.filter(draft_order__in=drafts).order_by("created_at", "pk")
    columns = ("draft_order", "org", "status", "failed_as", "erp_order_id")
    return {export.draft_order_id: export for export in exports.only(*columns)}
