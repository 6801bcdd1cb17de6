"""Ask the server once more about answers that leave the cause open, and replace the faults in place."""

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


def look(channels: Channels, paths: Sequence[str]) -> Presences:
    """Tell a missing file from a missing folder, in one round trip. That proves no absence: see `absence`."""
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


def refused_renames(channels: Channels, moves: Sequence[Move], outcomes: Outcomes) -> None:
    """Version 3 says FAILURE for a name that is taken; looking tells it from real trouble."""
    unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
    if unclear:
        targets = look(channels, [moves[i].target for i in unclear])
        for i, there in zip(unclear, targets, strict=True):
            if there is True:
                outcomes[i] = Fault(faults.NAME_TAKEN, path=moves[i].target)


def missing_folders(channels: Channels, paths: Sequence[str], answers: "Sequence[object] | Outcomes") -> None:
    """Report a missing folder as such. It is asked for later than the file, so this proves no absence."""
    absent = [i for i, a in enumerate(answers) if isinstance(a, Fault) and a.kind is faults.NOT_FOUND]
    folders = list({folder_of(paths[i]) for i in absent})
    results = channels.run(list(map(is_folder, folders)))
    missing = dict(zip(folders, map(sftp_answers.folder_fault, results, folders), strict=True))
    for i in absent:
        fault = missing[folder_of(paths[i])]
        if fault:
            answers[i] = fault  # type: ignore[index]


def _unavailable_folders(channels: Channels, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
    """Some servers say FAILURE of a folder that does not exist, and say it of the folder itself, too."""
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
    """OpenSSH says of a full disk no more than FAILURE; asking for the space that is left tells it."""
    unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
    if not unclear or wire.STATVFS not in channels.extensions:
        return
    left = channels.run([operations.free_bytes(folder_of(uploads[i].path)) for i in unclear])
    for i, free in zip(unclear, left, strict=True):
        if isinstance(free, int) and free < len(uploads[i].data):
            outcomes[i] = Fault(faults.DISK_FULL, f"{free} bytes are left.", path=uploads[i].path)
