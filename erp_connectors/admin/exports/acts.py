"""What can be done to one export or ack file; who may and when, as tables. Answers by hand have forms of their own."""

from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.acts import Act, Prospect
from erp_connectors.admin.orders.acts import do_retry, retry_prospect, retryable
from erp_connectors.messages import in_words
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.dismiss import (
    can_dismiss_ack,
    can_dismiss_export,
    dismiss_ack,
    dismiss_export,
)
from erp_connectors.services.status.export_status import counting
from erp_connectors.services.status.timeline import exports_of
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


def _retryable(export: ERPExport) -> bool:
    """Only the export that counts: retrying an older one would mean the newer."""
    draft = export.draft_order
    if not retryable(draft):
        return False
    counts = counting(exports_of(draft))
    return counts is not None and retryable(draft, export.pk, newest_id=counts.pk)


def _retry_prospect(export: ERPExport) -> Prospect:
    return retry_prospect(export.draft_order)


def _retry(pk: UUID, actor: User, note: str) -> str:
    return do_retry(ERPExport.objects.only("draft_order").get(pk=pk).draft_order_id, actor, note)


def _handled_prospect(export: ERPExport) -> Prospect:
    conflict = export.conflict_json or {}
    return Prospect(
        [
            _(
                "The answer is taken off the list of what needs attention. Nothing else changes, here or in the ERP."
            ),
            _("Your note and your name are kept in the timeline."),
        ],
        [(_("Order"), str(export.draft_order)), (_("Ack file"), str(conflict.get("file", "")))],
    )


def _handled(pk: UUID, actor: User, note: str) -> str:
    dismiss_export(pk, actor=actor, note=note)
    return _("Marked as handled.")


def _ack_prospect(ack: AckFile) -> Prospect:
    return Prospect(
        [
            _("The file is taken off the list of what needs attention. No answer is recorded."),
            _("Your note and your name are kept in the audit log and shown with the file."),
        ],
        [
            (_("Ack file"), ack.name),
            (_("What became of it"), f"{ack.get_status_display()}: {in_words(ack.reason)}"),
        ],
    )


def _ack_handled(pk: int, actor: User, note: str) -> str:
    dismiss_ack(pk, actor=actor, note=note)
    return _("Marked as handled.")


HANDLED_NOTE = gettext_lazy("What was found out and done about it, for whoever looks at this later.")
EXPORT_ACTS = (
    Act(
        name="retry", label=gettext_lazy("Retry the push"), capability=Capability.PUSH,
        offered=_retryable, prospect=_retry_prospect, does=_retry,
    ),
    Act(
        name="handled", label=gettext_lazy("Mark as handled"), capability=Capability.PUSH,
        offered=can_dismiss_export, prospect=_handled_prospect, does=_handled, asks_note=HANDLED_NOTE,
    ),
)  # fmt: skip
ACK_ACTS = (
    Act(
        name="handled", label=gettext_lazy("Mark as handled"), capability=Capability.PUSH,
        offered=can_dismiss_ack, prospect=_ack_prospect, does=_ack_handled, asks_note=HANDLED_NOTE,
    ),
)  # fmt: skip
