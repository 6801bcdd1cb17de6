"""Row actions of an order, from review to retry: who may use them and when, as one table."""

from collections.abc import Callable
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.row_actions import ActionPreview, RowAction
from erp_connectors.dropzones import options_for_names
from erp_connectors.fault_records import cause_of
from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import connector_for
from erp_connectors.services.connections.endpoint import address_of
from erp_connectors.services.exports.push import active_connections, push, retry_push
from erp_connectors.services.exports.retry_rule import refuse_retry, retry_effect
from erp_connectors.services.status.export_status import current_export
from erp_connectors.services.status.timeline import exports_of
from erp_connectors.states import FailedAs
from orderflow.messages import text
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.order_warnings import warnings_of
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.review import mark_ready, reject, take_back
from orderflow.orders.states import DRAFT_MOVES, DraftStatus
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Capability


def may_become(to: DraftStatus, *, but_from: DraftStatus | None = None) -> Callable[[DraftOrder], bool]:
    """Return a check if the table of moves allows the step to a status."""
    return lambda draft: draft.status != but_from and to in DRAFT_MOVES[DraftStatus(draft.status)]


def retryable(draft: DraftOrder, export_id: UUID | None = None, *, newest_id: UUID | None = None) -> bool:
    """Return True if a page offers a retry. It does so without a connection, too, and says that one is missing."""
    return refuse_retry(draft, export_id, newest_id=newest_id, connected=lambda: True) is None


def _ready(draft: DraftOrder) -> ActionPreview:
    return ActionPreview(
        [_("The order is marked as complete and checked, and waits for approval. Nothing is sent.")],
        _facts(draft),
        [text(one) for one in missing_for_ready(draft)],
        _warnings(draft),
    )


def _approve(draft: DraftOrder) -> ActionPreview:
    return ActionPreview(
        [
            _(
                "The order is approved as it is. Your name and the time are recorded, and your name is sent to the ERP."
            ),
            _(
                "Nothing is sent yet. To send the order, push it. Any change to the order revokes the approval."
            ),
        ],
        _facts(draft),
        [text(one) for one in missing_for_ready(draft)],
        _warnings(draft),
    )


def _reject(draft: DraftOrder) -> ActionPreview:
    return ActionPreview(
        [_("The order is rejected permanently and never sent. This can't be undone.")], _facts(draft)
    )


def _review(draft: DraftOrder) -> ActionPreview:
    last = current_export(exports_of(draft))
    unknown = last is not None and last.failed_as == FailedAs.UNKNOWN
    warned = [_("It is not known if the ERP has the file. Ask the ERP team before you push again or reject.")]
    return ActionPreview(
        [
            _("The approval is revoked. The order can then be corrected and approved again, or rejected."),
            *(warned if unknown else []),
        ],
        _facts(draft),
    )


def _push(draft: DraftOrder) -> ActionPreview:
    return _delivery(draft, [_("The order is written to the ERP's dropzone as one file.")])


def preview_retry(draft: DraftOrder) -> ActionPreview:
    effect = text(retry_effect(current_export(exports_of(draft))))
    return _delivery(draft, [effect, _("The failed export is kept as a record.")])


def _delivery(draft: DraftOrder, sentences: list[str]) -> ActionPreview:
    connection = active_connections([draft]).get(draft.org_id)
    if connection is None:
        return ActionPreview(sentences, _facts(draft), [text(NO_CONNECTION)])
    facts = [*_facts(draft), *_where(draft, connection)]
    return ActionPreview(sentences, facts, warnings=[*_warnings(draft), *_held(connection)])


def _held(connection: ERPConnection) -> list[str]:
    if not connection.circuit_open:
        return []
    cause = cause_of(connection.circuit_reason or {})
    return [_("The order waits until the connection works again: %(cause)s") % {"cause": cause}]


def _warnings(draft: DraftOrder) -> list[str]:
    return [warning.text() for warning in warnings_of(draft)]


def _where(draft: DraftOrder, connection: ERPConnection) -> list[tuple[str, str]]:
    target = address_of(connection)
    connector = connector_for(connection.connector_type)
    named = connector.filename(
        draft.pk, at=timezone.now(), token="x" * 8, options=options_for_names(connection)
    )
    where = [(_("Server"), target.server)] if target.server else []
    return [
        (_("File"), _("%(name)s (with the time of the push and 8 random characters)") % {"name": named}),
        (_("Connection"), target.connection),
        *where,
        (_("Folder"), target.folder or target.problem),
    ]


def _facts(draft: DraftOrder) -> list[tuple[str, str]]:
    return [
        (_("Order"), str(draft)),
        (_("Customer"), str(draft.customer or "-")),
        (_("Lines"), str(draft.lines.count())),
    ]


def _do_push(pk: UUID, actor: User, note: str) -> str:
    return _on_its_way(push(pk, actor=actor).export)


def do_retry(pk: UUID, actor: User, note: str) -> str:
    return _on_its_way(retry_push(pk, actor=actor).export)


def _on_its_way(export: ERPExport) -> str:
    """With the way to it: the page one comes from is about the order, or about the export before."""
    said = _("The order is being sent to the ERP as %(file)s.") % {"file": export.filename}
    page = reverse("admin:erp_connectors_erpexport_change", args=[export.pk])
    return format_html('{} <a href="{}">{}</a>', said, page, _("View progress"))


def _do_ready(pk: UUID, actor: User, note: str) -> str:
    return _("Order %(order)s is ready for approval.") % {"order": mark_ready(pk, actor=actor)}


def _do_approve(pk: UUID, actor: User, note: str) -> str:
    return _("Order %(order)s is approved. Push it to send it.") % {"order": approve(pk, actor=actor)}


def _do_review(pk: UUID, actor: User, note: str) -> str:
    return _("Order %(order)s is in review again.") % {"order": take_back(pk, actor=actor)}


def _do_reject(pk: UUID, actor: User, note: str) -> str:
    return _("Order %(order)s is rejected.") % {"order": reject(pk, actor=actor)}


ORDER_ACTIONS = (
    RowAction(
        name="ready", label=gettext_lazy("Mark as ready"), capability=Capability.APPROVE,
        is_available=may_become(DraftStatus.READY), preview=_ready, execute=_do_ready,
    ),
    RowAction(
        name="approve", label=gettext_lazy("Approve"), capability=Capability.APPROVE,
        is_available=may_become(DraftStatus.APPROVED), preview=_approve, execute=_do_approve,
    ),
    RowAction(
        name="reject", label=gettext_lazy("Reject"), capability=Capability.APPROVE, destructive=True,
        is_available=may_become(DraftStatus.REJECTED), preview=_reject, execute=_do_reject,
    ),
    RowAction(
        name="push", label=gettext_lazy("Push to the ERP"), capability=Capability.PUSH,
        is_available=may_become(DraftStatus.PUSHING, but_from=DraftStatus.ERROR), preview=_push, execute=_do_push,

    ),
    RowAction(
        name="retry", label=gettext_lazy("Retry the push"), capability=Capability.PUSH,
        is_available=retryable, preview=preview_retry, execute=do_retry,
    ),
    RowAction(
        name="review", label=gettext_lazy("Back to review"), capability=Capability.APPROVE,
        is_available=may_become(DraftStatus.NEEDS_REVIEW, but_from=DraftStatus.EXTRACTED), preview=_review,
        execute=_do_review,
    ),
)  # fmt: skip
