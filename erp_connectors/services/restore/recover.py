"""Find the exports that were sent after the backup of a restored database, before anything is sent again."""

from collections.abc import Callable, Collection, Container, Sequence
from datetime import datetime
from uuid import UUID

from erp_connectors.archive import ArchiveUnavailable
from erp_connectors.archive_watermark import key, watermark
from erp_connectors.common_fields import Dropzone
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.credential_rollover import open_link
from erp_connectors.services.restore.dropzone import find_published_files, put_answers_back
from erp_connectors.services.restore.report import Recovery
from erp_connectors.services.restore.rows import (
    ArchiveNeeded,
    adopt_copies,
    archived_names,
    in_doubt,
    mark_waiting_in_doubt,
    unknown_names,
)
from erp_connectors.states import ConnectionStatus
from erp_connectors.transports.base import Transport

Look = Callable[[ERPConnection, Dropzone, Transport, Recovery], None]


def recover(*, since: datetime, dry_run: bool) -> list[Recovery]:
    """Return one report for each connection; may be run again. Nothing else may push, send or poll meanwhile.

    ``since``: when the backup was taken. Raises `ArchiveNeeded`: only the archive shows what was sent.
    """
    connections = list(ERPConnection.objects.select_related("org").order_by("org", "status", "-created_at"))
    reports = {one.pk: Recovery(one.pk, one.org.slug, dry_run) for one in connections}
    _require_copies({one.org_id for one in connections}, since)
    names = {one.org_id: archived_names(one.org_id) for one in connections}
    # An answer to a file that is adopted below has to wait, also if it is another org's in a shared folder.
    unknown = unknown_names([name for each in names.values() for name in each])
    for connection in connections:
        mark_waiting_in_doubt(connection, reports[connection.pk])
        # Known exports come first: an answer to an older file explains why there is a newer one.
        _ask_dropzone(connection, reports[connection.pk], unknown)
    for connection in _one_per_org(connections):
        adopt_copies(connection, names[connection.org_id], since=since, report=reports[connection.pk])
        if not dry_run:
            _ask_dropzone(connection, reports[connection.pk], unknown)
    if not dry_run:
        for connection in connections:
            doubted = {export.export_storage_key for export in in_doubt(connection)}
            reports[connection.pk].keep_unknown(doubted)
    return list(reports.values())


def _require_copies(orgs: Collection[UUID], since: datetime) -> None:
    for org_id in orgs:
        try:
            missing = watermark(org_id)
        except ArchiveUnavailable as error:
            raise ArchiveNeeded(f"The archive can't be read: {error}.") from error
        if missing and missing >= since:
            raise ArchiveNeeded(
                f"The backup is too old: retention has removed copies up to {missing:%Y-%m-%d %H:%M} UTC, so the "
                "archive does not know all that went out since. Restore a newer backup; or bring those copies back "
                f"into the archive and delete {key(org_id)} there."
            )


def _ask_dropzone(connection: ERPConnection, report: Recovery, unknown: Container[str]) -> None:
    try:
        dropzone = dropzone_of(connection)
        with open_link(connection.pk, dropzone) as transport:
            transport.open()
            looks: list[Look] = [find_published_files, put_answers_back]
            for look in looks:
                look(connection, dropzone, transport, report)
    except Fault as fault:
        problem = f"{fault.message} {fault.kind.hint}"
        report.errors += [] if problem in report.errors else [problem]
    if not report.dry_run and connection.status == ConnectionStatus.ACTIVE:
        poll(connection.pk, expected=unknown)


def _one_per_org(connections: Sequence[ERPConnection]) -> list[ERPConnection]:
    """Return the active connection of each org, else its newest: the archive does not name that of a copy."""
    chosen: dict[UUID, ERPConnection] = {}
    for connection in connections:
        chosen.setdefault(connection.org_id, connection)
    return list(chosen.values())
