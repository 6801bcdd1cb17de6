"""Publish staged files, a whole batch together.

The rename is the commit point, and the temporary file's absence is its receipt. A temporary name is used by one
attempt only, STAGED is committed between writing and renaming, and only the worker that commits it may rename. So a
process that is killed anywhere, or frozen and continued late, finds its temporary file or the proof of the rename.
"""

from collections.abc import Sequence

from django.db import transaction

from erp_connectors import archive, leases
from erp_connectors.crashpoints import crashpoint
from erp_connectors.dropzone_paths import is_temporary
from erp_connectors.faults import (
    NAME_TAKEN,
    NOT_FOUND,
)
from erp_connectors.models import ERPExport
from erp_connectors.port_types import Move
from erp_connectors.services.delivery import done_markers
from erp_connectors.services.delivery.context import Delivery, Failure, split_outcomes
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.paths import moved, published_path, staying_at
from erp_connectors.states import Stage


def publish(delivery: Delivery, staged: Sequence[ERPExport]) -> tuple[list[ERPExport], list[Failure]]:
    """Rename and mark; then commit SENT. A file that an earlier worker renamed counts as published.

    Work only in the folder where they were staged: an absence in another folder proves nothing.
    """
    here = delivery.destination
    strayed = [export for export in staged if export.staged_destination != here]
    mine = [export for export in staged if export.staged_destination == here]
    direct = [export for export in mine if not is_temporary(export.staged_path)]
    to_rename = [export for export in mine if is_temporary(export.staged_path)]
    moves = [Move(export.staged_path, published_path(delivery.dropzone, export)) for export in to_rename]
    with staying_at(delivery.transport, delivery.dropzone, here):
        outcomes = delivery.transport.publish(moves)
        crashpoint("published-before-commit")
        published, failures = split_outcomes(to_rename, outcomes, Stage.PUBLISH)
        found, failures = _already_published(delivery, failures) if failures else ([], [])
        unmarked: list[Failure] = []
        if delivery.dropzone.done_marker:
            (direct, published, found), unmarked = done_markers.mark(delivery, direct, published, found)
    _commit_sent(delivery, direct + published)
    _commit_sent(delivery, found, detail="found done: the temporary file was gone")
    crashpoint("sent-committed")
    elsewhere = [Failure(export, moved(export), Stage.PUBLISH) for export in strayed]
    return direct + published + found, [*elsewhere, *failures, *unmarked]


def _already_published(
    delivery: Delivery, failures: Sequence[Failure]
) -> tuple[list[ERPExport], list[Failure]]:
    """Of failed renames, return the exports that are published all the same, and the other failures.

    Absent is the receipt of a rename; a name that is taken may be our own, left by a link-then-unlink rename.
    """
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


def _commit_sent(delivery: Delivery, exports: Sequence[ERPExport], *, detail: str = "") -> None:
    if not exports:
        return
    with transaction.atomic():
        leases.renew(delivery.lease)
        # An answer that was applied meanwhile has moved some of them on: those stay as they are.
        transitions.publish(exports, folder=delivery.dropzone.export_path, detail=detail)
