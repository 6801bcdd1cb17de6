"""Hold the database, the archive and the dropzone against each other; nothing is changed by it.

Everything streams: a listing is read in pages, rows are looked up after the files that they explain were seen, and
contents are compared a few megabytes at a time. So it may run beside deliveries and polls.
"""

from uuid import UUID

from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.connections.credential_rollover import open_link
from erp_connectors.services.exports.batching import by_size
from erp_connectors.services.exports.deadlines import overdue
from erp_connectors.services.exports.paths import destination, published_path, staying_at
from erp_connectors.services.reconciliation.answers import AnswerFiles
from erp_connectors.services.reconciliation.copies import compare_copies
from erp_connectors.services.reconciliation.files import OrderFiles
from erp_connectors.services.reconciliation.report import Finding, FindingKind, Reconciliation
from erp_connectors.states import ExportStatus
from erp_connectors.transports.base import Transport
from orderflow import clock
from orderflow.paging import by_key

MISSING_FROM = "It was sent and is not in the dropzone any more, and no answer came in time."
ASK = "Ask the ERP team whether they have this order; then mark it accepted, or refused to send it again."


def reconcile(connection_id: UUID) -> Reconciliation:
    """Never raises `Fault`: what could not be compared is in ``errors``."""
    connection = ERPConnection.objects.select_related("org").get(pk=connection_id)
    report = Reconciliation(connection.pk, connection.org.slug)
    try:
        dropzone = dropzone_of(connection)
        with open_link(connection.pk, dropzone) as transport:
            transport.open()
            _compare_dropzone(connection, dropzone, transport, report)
    except Fault as fault:
        report.errors.append(f"{fault.message} {fault.kind.hint}")
    compare_copies(connection, report)
    return report


def _compare_dropzone(
    connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Reconciliation
) -> None:
    OrderFiles(connection, dropzone, transport, report).compare()
    # In this order: an answer that comes in between is either still a file or already in the row.
    gone = _gone(connection, dropzone, transport, report)
    answered = AnswerFiles(connection, dropzone, transport, report).compare()
    for ids in by_size(gone - answered, lambda pk: 0):
        unanswered = ERPExport.objects.filter(pk__in=ids, status=ExportStatus.SENT)
        for export in unanswered.only("id", "dropzone_path").order_by("pk"):
            report.add(
                Finding(
                    kind=FindingKind.LOST,
                    path=export.dropzone_path,
                    what=MISSING_FROM,
                    to_do=ASK,
                    export_id=export.pk,
                )
            )


def _gone(
    connection: ERPConnection, dropzone: Dropzone, transport: Transport, report: Reconciliation
) -> set[UUID]:
    """Overdue exports whose file is gone. Gone alone means nothing: an ERP takes files away."""
    here, gone = destination(transport, dropzone), set()
    mine = ERPExport.objects.filter(connection=connection)
    late = overdue(mine, now=clock.now()).only("id", "filename", "staged_destination", "dropzone_path")
    for page in by_size(by_key(late), lambda export: 0):
        sent_here = [export for export in page if export.staged_destination == here]
        report.elsewhere += len(page) - len(sent_here)
        with staying_at(transport, dropzone, here):
            presences = transport.exists([published_path(dropzone, export) for export in sent_here])
        for export, there in zip(sent_here, presences, strict=True):
            if isinstance(there, Fault):
                raise there
            if not there:
                gone.add(export.pk)
    return gone
