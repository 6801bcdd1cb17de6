"""Retry the pushes of many exports at once, or preview the result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_noop

from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import active_connections, create_exports, lock_drafts
from erp_connectors.states import FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User

MAX_EXPORTS = 1000


class RetryOutcome(StrEnum):
    RETRY = "RETRY"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class RetryResult:
    """``new_export_id``: None in a dry run or if it was refused. ``why``: a sentence."""

    export_id: UUID
    outcome: RetryOutcome
    why: str
    draft_order_id: UUID | None = None
    order_number: str = ""
    new_export_id: UUID | None = None


RETRY_REASONS = {
    FailedAs.NOT_SENT: gettext_noop("It was not sent: it is rendered anew and sent."),
    FailedAs.REFUSED: gettext_noop("The ERP refused it: it is rendered anew and sent."),
    FailedAs.UNKNOWN: gettext_noop(
        "Whether it reached the ERP is not known: it is sent only if the first file did not."
    ),
}


@transaction.atomic
def bulk_retry(export_ids: Sequence[UUID], *, actor: User, dry_run: bool) -> list[RetryResult]:
    """Return one result for each id, in their order; at most `MAX_EXPORTS`. Many take as many statements as one."""
    visible = ERPExport.objects.visible_to(actor).filter(pk__in=export_ids).defer("payload")
    exports = {export.pk: export for export in visible}
    drafts = {
        draft.pk: draft
        for draft in lock_drafts({export.draft_order_id for export in exports.values()}, actor)
    }
    newest = _newest(drafts)
    connections = active_connections(list(drafts.values()))
    results = [
        _preview(pk, exports.get(pk), drafts=drafts, newest=newest, connections=connections)
        for pk in dict.fromkeys(export_ids)
    ]
    if dry_run:
        return results
    wanted = [
        drafts[one.draft_order_id]
        for one in results
        if one.outcome is RetryOutcome.RETRY and one.draft_order_id is not None
    ]
    exports_made = create_exports(wanted, connections, actor=actor, retry=True)
    new_ids = {export.draft_order_id: export.pk for export in exports_made}
    return [
        replace(one, new_export_id=new_ids[one.draft_order_id])
        if one.outcome is RetryOutcome.RETRY and one.draft_order_id is not None
        else one
        for one in results
    ]


def _newest(drafts: dict[UUID, DraftOrder]) -> dict[UUID, UUID]:
    rows = ERPExport.objects.filter(draft_order__in=list(drafts)).order_by("created_at", "pk")
    return dict(rows.values_list("draft_order", "pk"))


def _preview(
    pk: UUID,
    export: ERPExport | None,
    *,
    drafts: dict[UUID, DraftOrder],
    newest: dict[UUID, UUID],
    connections: dict[UUID, ERPConnection],
) -> RetryResult:
    if export is None:
        return RetryResult(pk, RetryOutcome.REFUSED, "There is no such export.")
    draft = drafts[export.draft_order_id]
    known = RetryResult(pk, RetryOutcome.REFUSED, "", draft.pk, str(draft))
    if newest[draft.pk] != pk:
        return replace(known, why=f"A newer export of the order counts: {newest[draft.pk]}.")
    if draft.status != DraftStatus.ERROR:
        return replace(known, why=f"The order is {draft.status}; only one in ERROR can be retried.")
    if draft.org_id not in connections:
        return replace(known, why=NO_CONNECTION)
    return replace(known, outcome=RetryOutcome.RETRY, why=RETRY_REASONS[FailedAs(export.failed_as)])
