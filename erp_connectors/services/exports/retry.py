"""Retry the pushes of many exports at once, or say what would become of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_noop

from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import active_connections, locked, start
from erp_connectors.states import FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User

AT_MOST = 1000


class Outcome(StrEnum):
    RETRY = "RETRY"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Retried:
    """``new_export_id`` None in a dry run, and where it was refused; ``why`` in a sentence."""

    export_id: UUID
    outcome: Outcome
    why: str
    draft_order_id: UUID | None = None
    order_number: str = ""
    new_export_id: UUID | None = None


WHY = {
    FailedAs.NOT_SENT: gettext_noop("It was not sent: it is rendered anew and sent."),
    FailedAs.REFUSED: gettext_noop("The ERP refused it: it is rendered anew and sent."),
    FailedAs.UNKNOWN: gettext_noop(
        "Whether it reached the ERP is not known: it is sent only if the first file did not."
    ),
}


@transaction.atomic
def bulk_retry(export_ids: Sequence[UUID], *, actor: User, dry_run: bool) -> list[Retried]:
    """One answer for each id, in their order; at most `AT_MOST`. The same statements for many as for one."""
    visible = ERPExport.objects.visible_to(actor).filter(pk__in=export_ids).defer("payload")
    exports = {export.pk: export for export in visible}
    drafts = {
        draft.pk: draft for draft in locked({export.draft_order_id for export in exports.values()}, actor)
    }
    newest = _newest(drafts)
    connections = active_connections(list(drafts.values()))
    answers = [
        _judge(pk, exports.get(pk), drafts=drafts, newest=newest, connections=connections)
        for pk in dict.fromkeys(export_ids)
    ]
    if dry_run:
        return answers
    wanted = [
        drafts[one.draft_order_id]
        for one in answers
        if one.outcome is Outcome.RETRY and one.draft_order_id is not None
    ]
    started = start(wanted, connections, actor=actor, retry=True)
    made = {export.draft_order_id: export.pk for export in started}
    return [
        replace(one, new_export_id=made[one.draft_order_id])
        if one.outcome is Outcome.RETRY and one.draft_order_id is not None
        else one
        for one in answers
    ]


def _newest(drafts: dict[UUID, DraftOrder]) -> dict[UUID, UUID]:
    rows = ERPExport.objects.filter(draft_order__in=list(drafts)).order_by("created_at", "pk")
    return dict(rows.values_list("draft_order", "pk"))


def _judge(
    pk: UUID,
    export: ERPExport | None,
    *,
    drafts: dict[UUID, DraftOrder],
    newest: dict[UUID, UUID],
    connections: dict[UUID, ERPConnection],
) -> Retried:
    if export is None:
        return Retried(pk, Outcome.REFUSED, "There is no such export.")
    draft = drafts[export.draft_order_id]
    known = Retried(pk, Outcome.REFUSED, "", draft.pk, str(draft))
    if newest[draft.pk] != pk:
        return replace(known, why=f"A newer export of the order counts: {newest[draft.pk]}.")
    if draft.status != DraftStatus.ERROR:
        return replace(known, why=f"The order is {draft.status}; only one in ERROR can be retried.")
    if draft.org_id not in connections:
        return replace(known, why=NO_CONNECTION)
    return replace(known, outcome=Outcome.RETRY, why=WHY[FailedAs(export.failed_as)])
