"""Ask the server for the cause of an unclear fault, and replace the fault in place."""

from collections.abc import Sequence

from erp_connectors import faults
from erp_connectors.dropzone_paths import folder_of
from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.sftp import errors, operations, wire
from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.operations import is_folder, lstat
from erp_connectors.sftp.pipeline import Task
from erp_connectors.sftp.wire import Attributes
from erp_connectors.transports.base import Outcomes, Presences
from erp_connectors.transports.sftp import answers as sftp_answers
from orderflow.messages import Message


def look_up(channels: Channels, paths: Sequence[str]) -> Presences:
    """Return which files are there, or the fault of their folder, in one round trip.

    False proves no absence: see `absence`.
    """
    folders = list({folder_of(path) for path in paths})
    looks: list[Task[Attributes | bool]] = [*map(lstat, paths), *map(is_folder, folders)]
    results = channels.run(looks)
    missing = dict(zip(folders, map(sftp_answers.folder_fault, results[len(paths) :], folders), strict=True))
    return [
        sftp_answers.presence_of(result, path, missing[folder_of(path)])
        for path, result in zip(paths, results[: len(paths)], strict=True)
    ]


def refused_writes(channels: Channels, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
    """Replace FAILURE of a write by its cause: an unavailable folder, or a full disk."""
    _unavailable_folders(channels, uploads, outcomes)
    _full_disks(channels, uploads, outcomes)


def late_sizes(
    channels: Channels, uploads: Sequence[Upload], written: Sequence[object], outcomes: Outcomes
) -> None:
    """Replace SIZE_MISMATCH by success if a later look finds all bytes: rclone may report the size after the CLOSE."""
    unclear = [
        i
        for i, (fault, file) in enumerate(zip(outcomes, written, strict=True))
        if fault
        and fault.kind is faults.SIZE_MISMATCH
        and sftp_answers.size_of(getattr(file, "look", None)) is not None
    ]
    looks = channels.run([lstat(uploads[i].path) for i in unclear]) if unclear else []
    for i, look in zip(unclear, looks, strict=True):
        if sftp_answers.size_of(look) == len(uploads[i].data):
            outcomes[i] = None


def refused_renames(channels: Channels, moves: Sequence[Move], outcomes: Outcomes) -> None:
    """Replace FAILURE of a rename by NAME_TAKEN if the target exists: version 3 has no code for that."""
    unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
    if unclear:
        targets = look_up(channels, [moves[i].target for i in unclear])
        for i, there in zip(unclear, targets, strict=True):
            if there is True:
                outcomes[i] = Fault(faults.NAME_TAKEN, path=moves[i].target)


def missing_folders(channels: Channels, paths: Sequence[str], answers: "Sequence[object] | Outcomes") -> None:
    """Replace NOT_FOUND by the fault of the folder if that is missing.

    The folder is asked for later than the file, so this proves no absence.
    """
    absent = [i for i, a in enumerate(answers) if isinstance(a, Fault) and a.kind is faults.NOT_FOUND]
    folders = list({folder_of(paths[i]) for i in absent})
    results = channels.run(list(map(is_folder, folders)))
    missing = dict(zip(folders, map(sftp_answers.folder_fault, results, folders), strict=True))
    for i in absent:
        fault = missing[folder_of(paths[i])]
        if fault:
            answers[i] = fault  # type: ignore[index]


def _unavailable_folders(channels: Channels, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
    """Replace FAILURE by the fault of the folder: some servers answer FAILURE if the folder does not exist."""
    unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
    folders = list({folder_of(uploads[i].path) for i in unclear})
    looks = channels.run(list(map(is_folder, folders))) if folders else []
    failing = {
        folder: look
        for folder, look in zip(folders, looks, strict=True)
        if isinstance(look, errors.StatusError) and look.code in (wire.FAILURE, wire.NO_SUCH_FILE)
    }
    for i in unclear:
        if refusal := failing.get(folder := folder_of(uploads[i].path)):
            outcomes[i] = sftp_answers.listing_fault(refusal, folder)


def _full_disks(channels: Channels, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
    """Replace FAILURE by DISK_FULL if the free space is too small: OpenSSH answers only FAILURE."""
    unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
    if not unclear or wire.STATVFS not in channels.extensions:
        return
    left = channels.run([operations.free_bytes(folder_of(uploads[i].path)) for i in unclear])
    for i, free in zip(unclear, left, strict=True):
        if isinstance(free, int) and free < len(uploads[i].data):
            outcomes[i] = Fault(faults.DISK_FULL, Message("file.free_space", free=free), path=uploads[i].path)
