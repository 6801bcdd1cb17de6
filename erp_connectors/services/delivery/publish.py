"""The steps from rows to published files, each taken by a whole batch together.

The rename is the commit point, and the temporary file's absence is its receipt. A temporary name is used by one
attempt only, STAGED is committed between writing and renaming, and only who commits it may rename. So a process
killed anywhere, or frozen and woken late, finds either its temporary file or the proof that the rename was done.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from erp_connectors import archive, counters, leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.documents import Move, OrderDocument, Upload
from erp_connectors.faults import (
    ARCHIVE_ALTERED,
    ARCHIVE_UNAVAILABLE,
    NAME_TAKEN,
    NOT_FOUND,
    Fault,
)
from erp_connectors.models import ERPExport, add_events
from erp_connectors.services.delivery import done_markers
from erp_connectors.services.exports.export_log import tell
from erp_connectors.services.exports.order_snapshot import order_documents
from erp_connectors.services.exports.paths import (
    Delivery,
    Failure,
    Item,
    moved,
    published_path,
    staying_at,
    temporary_path,
)
from erp_connectors.states import ExportStatus, Stage
from orderflow import clock
from orderflow.audit import services as audit
from orderflow.audit.models import Action
from orderflow.bulk import update_rows
from orderflow.moves import LostRace
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus


def render(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    """Make each export's bytes once; later attempts get the very same ones back."""
    rendered = [export for export in exports if export.sha256]
    items, failures = _bytes_again(delivery, rendered)
    fresh_items, fresh_failures = _render_all(delivery, [export for export in exports if not export.sha256])
    _archive_and_commit(delivery, fresh_items)
    return items + fresh_items, failures + fresh_failures


def stage(delivery: Delivery, items: Sequence[Item]) -> tuple[list[ERPExport], list[Failure]]:
    """Write complete temporary files, their size confirmed by the server; then commit STAGED."""
    paths = [temporary_path(delivery.dropzone, item.export) for item in items]
    uploads = [
        Upload(path, item.data, delivery.dropzone.file_mode) for path, item in zip(paths, items, strict=True)
    ]
    destination = delivery.destination
    with staying_at(delivery.transport, delivery.dropzone, destination):
        outcomes = delivery.transport.stage(uploads)
    crashpoint("staged-before-commit")
    staged, failures = _split([item.export for item in items], outcomes, Stage.STAGE)
    _sweep_leftovers(delivery, staged, [failure.export for failure in failures])
    try:
        _commit_staged(delivery, staged, destination, detail=" ".join(delivery.transport.remarks()))
    except LostRace:
        # Nobody else knows these names, and without the commit nobody may ever publish them.
        if delivery.dropzone.atomic_write:
            delivery.transport.remove([temporary_path(delivery.dropzone, export) for export in staged])
        raise
    crashpoint("staged-committed")
    return staged, failures


def publish(delivery: Delivery, staged: Sequence[ERPExport]) -> tuple[list[ERPExport], list[Failure]]:
    """Rename and mark; then commit SENT. What an earlier worker had renamed already counts as published.

    Work only in the folder where they were staged: an absence in another folder proves nothing.
    """
    here = delivery.destination
    strayed = [export for export in staged if export.staged_destination != here]
    mine = [export for export in staged if export.staged_destination == here]
    direct = [export for export in mine if not export.staged_path.endswith(".tmp")]
    to_rename = [export for export in mine if export.staged_path.endswith(".tmp")]
    moves = [Move(export.staged_path, published_path(delivery.dropzone, export)) for export in to_rename]
    with staying_at(delivery.transport, delivery.dropzone, here):
        outcomes = delivery.transport.publish(moves)
        crashpoint("published-before-commit")
        published, failures = _split(to_rename, outcomes, Stage.PUBLISH)
        found, failures = _already_published(delivery, failures)
        (direct, published, found), unmarked = done_markers.mark(delivery, direct, published, found)
    _commit_sent(delivery, direct + published, what="published")
    _commit_sent(delivery, found, what="published", detail="found done: the temporary file was gone")
    crashpoint("sent-committed")
    elsewhere = [Failure(export, moved(export), Stage.PUBLISH) for export in strayed]
    return direct + published + found, [*elsewhere, *failures, *unmarked]


def _render_all(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    counts = {export.draft_order_id: export.line_count for export in exports}
    documents = order_documents(counts) if counts else {}
    items, failures = [], []
    for export in exports:
        try:
            items.append(Item(export, _render_one(delivery, documents[export.draft_order_id])))
        except Fault as fault:
            failures.append(Failure(export, fault, Stage.RENDER))
    return items, failures


def _render_one(delivery: Delivery, document: OrderDocument | Fault) -> bytes:
    if isinstance(document, OrderDocument):
        return delivery.connector.render(document)
    raise document


def _bytes_again(delivery: Delivery, exports: Sequence[ERPExport]) -> tuple[list[Item], list[Failure]]:
    items, failures = [], []
    for export, data in zip(exports, _stored(exports), strict=True):
        if isinstance(data, archive.ArchiveUnavailable):
            again = _same_bytes_rendered_again(delivery, export)
            if again is None:
                failures.append(Failure(export, Fault(ARCHIVE_UNAVAILABLE, f"{data}."), Stage.ARCHIVE))
            else:
                items.append(Item(export, again))
        elif isinstance(data, archive.ArchiveAltered):
            failures.append(Failure(export, Fault(ARCHIVE_ALTERED, f"{data}."), Stage.ARCHIVE))
        else:
            items.append(Item(export, data))
    return items, failures


def _stored(
    exports: Sequence[ERPExport],
) -> list[bytes | archive.ArchiveUnavailable | archive.ArchiveAltered]:
    """From the rows that still keep them, and from the archive."""
    kept = dict(
        ERPExport.objects.filter(pk__in=[export.pk for export in exports], payload__isnull=False).values_list(
            "pk", "payload"
        )
    )
    archived = [export for export in exports if export.pk not in kept]
    read = archive.read_all([(export.export_storage_key, export.sha256) for export in archived])
    found = dict(zip([export.pk for export in archived], read, strict=True))
    return [bytes(kept[e.pk] or b"") if e.pk in kept else found[e.pk] for e in exports]


def bytes_of(export: ERPExport) -> bytes:
    """The bytes that were made for an export. Raises `PayloadRemoved`, `ArchiveUnavailable` or `ArchiveAltered`."""
    if export.payload_removed_at:
        raise archive.PayloadRemoved(export.payload_removed_at)
    if export.payload is not None:
        return bytes(export.payload)
    return archive.read(export.export_storage_key, expected_sha256=export.sha256)


def _same_bytes_rendered_again(delivery: Delivery, export: ERPExport) -> bytes | None:
    # An outage of the archive must not hold up an order that still renders to the recorded bytes.
    items, _ = _render_all(delivery, [export])
    same = [item.data for item in items if archive.sha256(item.data) == export.sha256]
    return same[0] if same else None


def _archive_and_commit(delivery: Delivery, items: Sequence[Item]) -> None:
    if not items:
        return
    # A worker that was frozen since its claim must not put other bytes where those that were sent are kept.
    leases.renew(delivery.lease)
    outcomes = archive.put_all([archive.Copy(item.export.export_storage_key, item.data) for item in items])
    crashpoint("archived-before-commit")
    now = timezone.now()
    for item, error in zip(items, outcomes, strict=True):
        item.export.sha256, item.export.size = archive.sha256(item.data), len(item.data)
        item.export.archived_at = None if error else now
        item.export.payload = item.data if error else None
    exports = [item.export for item in items]
    with transaction.atomic():
        leases.renew(delivery.lease)
        update_rows(exports, "sha256", "size", "archived_at")
        # Few or none keep their bytes in the row: only while the archive is down.
        update_rows([export for export in exports if export.archived_at is None], "payload")
        add_events(exports, stage=Stage.RENDER, what="rendered", at=now)
    crashpoint("rendered-committed")


def _sweep_leftovers(delivery: Delivery, staged: Sequence[ERPExport], failed: Sequence[ERPExport]) -> None:
    if not delivery.dropzone.atomic_write:
        return
    final = {export.pk: published_path(delivery.dropzone, export) for export in (*staged, *failed)}
    leftovers = [f"{final[export.pk]}.{n}.tmp" for export in staged for n in range(1, export.attempts)]
    leftovers += [f"{final[export.pk]}.{n}.tmp" for export in failed for n in range(1, export.attempts + 1)]
    delivery.transport.remove(leftovers)


def _commit_staged(
    delivery: Delivery, exports: Sequence[ERPExport], destination: str, *, detail: str
) -> None:
    if not exports:
        return
    now = clock.now()
    final: Concat | Value = Concat(Value(f"{delivery.dropzone.export_path.rstrip('/')}/"), F("filename"))
    if delivery.dropzone.atomic_write:
        final = Concat(final, Value("."), Cast("attempts", CharField()), Value(".tmp"))
    with transaction.atomic():
        leases.renew(delivery.lease)
        ERPExport.objects.filter(pk__in=[export.pk for export in exports]).update(
            staged_at=now,
            staged_path=final,
            staged_destination=destination,
            staged_host_key=delivery.transport.server_key(),
        )
        add_events(exports, stage=Stage.STAGE, what="staged", detail=detail, at=now)
    for export in exports:
        export.staged_at, export.staged_destination = now, destination
        export.staged_path = temporary_path(delivery.dropzone, export)


def _already_published(
    delivery: Delivery, failures: Sequence[Failure]
) -> tuple[list[ERPExport], list[Failure]]:
    """Absent is the receipt of a rename; a name that is taken may be our own, left by a link-then-unlink rename."""
    gone = [failure.export for failure in failures if failure.fault.kind is NOT_FOUND]
    taken = [failure.export for failure in failures if failure.fault.kind is NAME_TAKEN]
    ours = _same_content(delivery, taken)
    delivery.transport.remove([export.staged_path for export in ours])
    settled = {export.pk for export in (*gone, *ours)}
    return [*gone, *ours], [failure for failure in failures if failure.export.pk not in settled]


def _same_content(delivery: Delivery, exports: Sequence[ERPExport]) -> list[ERPExport]:
    if not exports:
        return []
    bodies = delivery.transport.read(
        [published_path(delivery.dropzone, export) for export in exports],
        max_bytes=max(export.size or 0 for export in exports),
    )
    return [
        export
        for export, body in zip(exports, bodies, strict=True)
        if isinstance(body, bytes) and archive.sha256(body) == export.sha256
    ]


def _commit_sent(delivery: Delivery, exports: Sequence[ERPExport], *, what: str, detail: str = "") -> None:
    if not exports:
        return
    with transaction.atomic():
        leases.renew(delivery.lease)
        pending = ERPExport.objects.filter(
            pk__in=[export.pk for export in exports], status=ExportStatus.PENDING
        )
        # An ack may have arrived in between and moved some of them on.
        mine = set(pending.select_for_update().values_list("pk", flat=True))
        moved = [export for export in exports if export.pk in mine]
        mark_sent(moved, what=what, detail=detail, folder=delivery.dropzone.export_path)


def mark_sent(exports: Sequence[ERPExport], *, what: str, detail: str, folder: str) -> None:
    """PENDING -> SENT and the drafts PUSHED, for rows that the caller holds locked."""
    now = clock.now()
    ERPExport.objects.filter(pk__in=[export.pk for export in exports]).advance(
        ExportStatus.SENT,
        frm=ExportStatus.PENDING,
        sent_at=now,
        next_attempt_at=None,
        error_json=None,
        dropzone_path=Concat(Value(f"{folder.rstrip('/')}/"), F("filename")),
    )
    DraftOrder.objects.advance_all(
        [export.draft_order_id for export in exports], frm=DraftStatus.PUSHING, to=DraftStatus.PUSHED
    )
    add_events(exports, stage=Stage.PUBLISH, what=what, detail=detail, at=now)
    audit_published(exports)
    _observe_delivery(exports, now)
    tell("export.sent", exports, detail=detail)


def _observe_delivery(exports: Sequence[ERPExport], now: datetime) -> None:
    """How long each took from the push on."""
    pushed = ERPExport.objects.filter(pk__in=[export.pk for export in exports])
    began = pushed.values_list("created_at", flat=True)
    counters.observe(counters.Name.DELIVERY, [(now - at).total_seconds() for at in began])


def audit_published(exports: Sequence[ERPExport]) -> None:
    audit.record_many(
        audit.Entry(
            action=Action.DRAFT_PUSHED,
            org_id=export.org_id,
            entity_type="DraftOrder",
            entity_id=export.draft_order_id,
            after={"erp_export_id": str(export.pk), "filename": export.filename},
        )
        for export in exports
    )


def _split(
    exports: Sequence[ERPExport], outcomes: Sequence[Fault | None], stage: Stage
) -> tuple[list[ERPExport], list[Failure]]:
    pairs = list(zip(exports, outcomes, strict=True))
    done = [export for export, fault in pairs if fault is None]
    failures = [Failure(export, fault, stage) for export, fault in pairs if fault is not None]
    return done, failures
