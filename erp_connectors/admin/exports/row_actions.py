"""Row actions of exports and ack files: who may use them and when, as tables. Manual answers have their own forms."""

from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.row_actions import ActionPreview, RowAction
from erp_connectors.admin.orders.row_actions import do_retry, preview_retry, retryable
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.dismiss import (
    can_dismiss_ack,
    can_dismiss_export,
    dismiss_ack,
    dismiss_export,
)
from erp_connectors.services.status.export_status import current_export
from erp_connectors.services.status.timeline import exports_of
from orderflow.messages import text
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


def _retryable(export: ERPExport) -> bool:
    """Return True for the current export only: retrying an older one would retry the current one."""
    draft = export.draft_order
    if not retryable(draft):
        return False
    counts = current_export(exports_of(draft))
    return counts is not None and retryable(draft, export.pk, newest_id=counts.pk)


def _preview_retry(export: ERPExport) -> ActionPreview:
    return preview_retry(export.draft_order)


def _retry(pk: UUID, actor: User, note: str) -> str:
    return do_retry(ERPExport.objects.only("draft_order").get(pk=pk).draft_order_id, actor, note)


def _preview_dismiss(export: ERPExport) -> ActionPreview:
    conflict = export.conflict_json or {}
    return ActionPreview(
        [
            _("The answer no longer counts as needing attention. Nothing else changes, here or in the ERP."),
            _("The timeline records your note and your name."),
        ],
        [(_("Order"), str(export.draft_order)), (_("Ack file"), str(conflict.get("file", "")))],
    )


def _dismiss(pk: UUID, actor: User, note: str) -> str:
    dismiss_export(pk, actor=actor, note=note)
    return _("Dismissed.")


def _preview_dismiss_ack(ack: AckFile) -> ActionPreview:
    return ActionPreview(
        [
            _("The file no longer needs attention. No answer is recorded."),
            _("The audit log records your note and your name. They are also shown with the file."),
        ],
        [
            (_("Ack file"), ack.name),
            (_("Result"), f"{ack.get_status_display()}: {text(ack.reason)}"),
        ],
    )


def _dismiss_ack(pk: int, actor: User, note: str) -> str:
    dismiss_ack(pk, actor=actor, note=note)
    return _("Dismissed.")


DISMISS_NOTE = gettext_lazy("Write what you found out and what was done.")
EXPORT_ACTIONS = (
    RowAction(
        name="retry", label=gettext_lazy("Retry the push"), capability=Capability.PUSH,
        is_available=_retryable, preview=_preview_retry, execute=_retry,
    ),
    RowAction(
        name="dismiss", label=gettext_lazy("Dismiss"), capability=Capability.PUSH,
        is_available=can_dismiss_export, preview=_preview_dismiss, execute=_dismiss, note_help=DISMISS_NOTE,
    ),
)  # fmt: skip
ACK_ACTIONS = (
    RowAction(
        name="dismiss", label=gettext_lazy("Dismiss"), capability=Capability.PUSH,
        is_available=can_dismiss_ack, preview=_preview_dismiss_ack, execute=_dismiss_ack, note_help=DISMISS_NOTE,
    ),
)  # fmt: skip
