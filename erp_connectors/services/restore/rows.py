"""Record exports that may have been sent after the backup of a restored database, before anything is sent again.

The archive was not restored with it, and every file has its copy there before it is staged. So a copy that no export
has, or whose export the database takes for waiting, is one that the ERP may hold. It becomes FAILED with its outcome
unknown, which keeps its order from being sent, until the dropzone, an answer or a user resolves it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.core.files.storage import storages
from django.db import transaction
from django.utils import timezone

from erp_connectors import archive
from erp_connectors.connectors.base import Connector
from erp_connectors.faults import RESTORED, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import connector_for
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.restore.report import Recovery, RecoveryFinding, RecoveryFindingKind
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.paging import by_key

# A destination that no transport has: an absence in any folder proves nothing about a restored export.
NOWHERE = "a place that the restored database does not know"
ASK = "Ask the ERP team whether they have it; then mark it accepted, or refused to send it again."


class ArchiveNeeded(Exception):
    """The archive, which alone shows what was sent since the backup, can't be read; the text has its error."""


def mark_waiting_in_doubt(connection: ERPConnection, report: Recovery) -> None:
    """Set exports that are PENDING and have a copy to outcome unknown: they may have been sent since the backup."""
    waiting = ERPExport.objects.filter(connection=connection, status=ExportStatus.PENDING)
    rows = waiting.select_related("draft_order").defer("payload")
    for page in by_size(by_key(rows, "created_at", "pk"), lambda export: 0):
        doubted = [export for export in page if _was_rendered(export)]
        if report.dry_run:
            _report(doubted, report, "It waits here, and its file may have been sent since the backup.")
            continue
        with transaction.atomic():
            transitions.mark_unknown(doubted, Fault(RESTORED), destination=NOWHERE)
        _report(doubted, report, "It waited here, and its file may have been sent since the backup.")


def adopt_copies(
    connection: ERPConnection, names: Sequence[str], *, since: datetime, report: Recovery
) -> None:
    """Insert an export for each archived copy that is newer than the backup and has none."""
    connector = connector_for(connection.connector_type)
    written = [(_written(connection.org_id, name), name) for name in unknown_names(names)]
    newer = [(at, name) for at, name in written if at >= since]
    # If an order has several files, the newest counts.
    for _, name in sorted(newer):
        _adopt(connection, connector, name, report=report)


def archived_names(org_id: UUID) -> list[str]:
    """Return all file names of an org in the archive. Raise `ArchiveNeeded`."""
    try:
        return sorted(storages[archive.ALIAS].listdir(archive.folder(org_id))[1])
    except FileNotFoundError:
        return []
    except Exception as error:  # each storage backend raises errors of its own
        raise ArchiveNeeded(f"The archive can't be listed: {type(error).__name__}: {error}.") from error


def unknown_names(names: Sequence[str]) -> set[str]:
    """Return the file names that no export has."""
    unknown = set(names)
    for page in by_size(names, lambda name: 0):
        unknown -= set(ERPExport.objects.filter(filename__in=page).values_list("filename", flat=True))
    return unknown


def _written(org_id: UUID, name: str) -> datetime:
    at: datetime = storages[archive.ALIAS].get_modified_time(archive.storage_key(org_id, name))
    return at


def _was_rendered(export: ERPExport) -> bool:
    if export.staged_at or export.archived_at or export.sha256:
        return True
    try:
        return storages[archive.ALIAS].exists(export.export_storage_key)
    except Exception as error:  # each storage backend raises errors of its own
        raise ArchiveNeeded(f"The archive can't be asked: {type(error).__name__}: {error}.") from error


def _adopt(connection: ERPConnection, connector: Connector[object], name: str, *, report: Recovery) -> None:
    key = archive.storage_key(connection.org_id, name)
    with storages[archive.ALIAS].open(key, "rb") as stored:
        body = stored.read()
    order_id = connector.identify(name, body)
    draft = _draft(connection.org_id, order_id, connector.order_id_prefix(name))
    if draft is None:
        report.add(
            RecoveryFinding(
                kind=RecoveryFindingKind.NO_ORDER,
                path=key,
                what=_LOST_ORDER.format(order_id) if order_id else _UNKNOWN_ORDER,
                to_do=_ENTER_ANEW,
            )
        )
        return
    status = draft.status
    if not report.dry_run:
        with transaction.atomic():
            transitions.adopt(_export(connection, connector, draft, name, body), Fault(RESTORED))
    what = f"Order {draft} is {status} in the restored database, and this file of it may have been sent."
    report.add(RecoveryFinding(kind=RecoveryFindingKind.UNKNOWN, path=key, what=what, to_do=ASK))


def _draft(org_id: UUID, order_id: UUID | None, prefix: str) -> DraftOrder | None:
    """Return the order of a file. ``prefix`` counts if the id is unknown and only one order of the org has it."""
    orders = DraftOrder.objects.for_org(org_id)
    if order_id is not None:
        return orders.filter(pk=order_id).first()
    if not prefix:
        return None
    first, last = UUID(prefix.ljust(32, "0")), UUID(prefix.ljust(32, "f"))
    found = list(orders.filter(pk__gte=first, pk__lte=last)[:2])
    return found[0] if len(found) == 1 else None


def _export(
    connection: ERPConnection, connector: Connector[object], draft: DraftOrder, name: str, body: bytes
) -> ERPExport:
    now = timezone.now()
    return ERPExport(
        org_id=connection.org_id,
        connection=connection,
        draft_order=draft,
        export_format_version=connector.version,
        filename=name,
        export_storage_key=archive.storage_key(connection.org_id, name),
        sha256=archive.sha256(body),
        size=len(body),
        staged_destination=NOWHERE,
        approved_at=draft.approved_at or now,
        archived_at=now,
    )


def in_doubt(connection: ERPConnection) -> Iterator[ERPExport]:
    """Return the exports that recovery set to outcome unknown and that are not resolved yet."""
    rows = ERPExport.objects.filter(
        connection=connection, failed_as=FailedAs.UNKNOWN, staged_destination=NOWHERE
    )
    return by_key(rows.select_related("draft_order").defer("payload"), "created_at", "pk")


def _report(exports: Sequence[ERPExport], report: Recovery, what: str) -> None:
    for export in exports:
        report.add(
            RecoveryFinding(
                kind=RecoveryFindingKind.UNKNOWN, path=export.export_storage_key, what=what, to_do=ASK
            )
        )


_LOST_ORDER = (
    "The restored database has no order {}: it came in after the backup, and its file may have been sent."
)
_UNKNOWN_ORDER = (
    "The restored database has no order, or more than one, that this file can belong to, and the file may have been "
    "sent."
)
_ENTER_ANEW = "Ask the ERP team whether they have it before anybody enters this order anew."
