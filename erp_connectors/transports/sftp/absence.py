"""Prove that files are absent from an SFTP folder.

Version 3 looks up each file by its whole path. "No such file" therefore does not say whether the file or its folder was
absent, and a second request about the folder is answered at another moment. See "What counts as absent" in
docs/architecture.md for the proof and for the servers that each part of it is for.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from secrets import token_hex

from erp_connectors import faults
from erp_connectors.dropzone_paths import TEMPORARY, folder_of, is_temporary, join, name_of
from erp_connectors.faults import Fault
from erp_connectors.sftp import operations, wire
from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.errors import RequestTimeout, SshError, StatusError
from erp_connectors.sftp.operations import lstat
from erp_connectors.sftp.texts import Text
from erp_connectors.transports.sftp import answers as sftp_answers
from orderflow.messages import Message, several

FIRST_READS, READS_AHEAD = 4, 16
# A server could send names endlessly.
MAX_NAMES = 1_000_000
REFUSED = (faults.PERMISSION_DENIED, faults.OPERATION_UNSUPPORTED)


def confirm_absent(channels: Channels, paths: Sequence[str]) -> list[bool | Fault]:
    """Return False for each file that is proven absent, True for one that is there, else the `Fault` that prevents a
    proof. The number of round trips depends on the folder, not on the number of ``paths``.
    """
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_folder[folder_of(path)].append(path)
    found: dict[str, bool | Fault] = {}
    for folder, inside in by_folder.items():
        found |= _look_in(channels, folder, inside)
    return [found[path] for path in paths]


def _look_in(channels: Channels, folder: str, paths: Sequence[str]) -> dict[str, bool | Fault]:
    found = _list_and_look(channels, folder, paths)
    free = [
        path for path, there in found.items() if is_temporary(path) and (there is False or _is_refused(there))
    ]
    return found | _take_names(channels, folder, free) if free else found


def _list_and_look(channels: Channels, folder: str, paths: Sequence[str]) -> dict[str, bool | Fault]:
    """List the folder through one handle, and look up each path while the handle is open."""
    try:
        handle = channels.run_one(operations.open_folder(folder))
    except SshError as error:
        return dict.fromkeys(paths, _unlisted(error, folder))
    try:
        listed = _listed(channels, handle, {_name_of(path) for path in paths})
        # Some servers skip names while others are removed from the folder. So each path is looked up once more.
        looks = channels.run([lstat(path) for path in paths])
    except SshError as error:
        return dict.fromkeys(paths, _unlisted(error, folder))
    finally:
        if channels.broken is None:
            channels.run([operations.close(handle)])
    return {
        path: _name_of(path) in listed or sftp_answers.presence_of(look, path, None)
        for path, look in zip(paths, looks, strict=True)
    }


def _listed(channels: Channels, handle: bytes, wanted: Collection[str]) -> set[str]:
    """Return those of the ``wanted`` names that the open folder contains, read to its end."""
    found: set[str] = set()
    ahead, count, more = FIRST_READS, 0, True
    while more:
        names, more = channels.run_one(operations.next_names(handle, ahead=ahead))
        found |= {name for named in names if (name := named.name.casefold()) in wanted}
        ahead, count = READS_AHEAD, count + len(names)
        if count > MAX_NAMES:
            raise RequestTimeout(Text("ssh.endless_listing", names=count))
    return found


def _take_names(channels: Channels, folder: str, paths: Sequence[str]) -> dict[str, bool | Fault]:
    """Make a folder under each path and remove it: MKDIR succeeds only if the parent exists and the name is free.

    No other request of version 3 proves both at once: OpenSSH looks up each listed name by its path, and omits it from
    the listing if the lookup fails. Readers ignore temporary names, so such a folder does no harm. An unused name is
    tried first. If the server refuses that, it makes no folders, and the result is empty.
    """
    (refusal,) = _make_and_remove(channels, [join(folder, f"check_{token_hex(8)}{TEMPORARY}")])
    if isinstance(refusal, StatusError) and refusal.code != wire.NO_SUCH_FILE:
        return {}
    made = _make_and_remove(channels, paths) if refusal is None else [refusal] * len(paths)
    return {
        path: False if error is None else _not_taken(error, path)
        for path, error in zip(paths, made, strict=True)
    }


def _make_and_remove(channels: Channels, paths: Sequence[str]) -> list[SshError | None]:
    # Sent back to back, so that no folder stays if this process is killed now.
    both = [task(path) for path in paths for task in (operations.make_folder, operations.remove_folder)]
    results: list[object] = [*channels.run(both)]
    made, removed = results[0::2], results[1::2]
    # A server that runs requests in parallel may have handled the removal first.
    left = [path for path, m, r in zip(paths, made, removed, strict=True) if m is None and r is not None]
    channels.run([operations.remove_folder(path) for path in left])
    return [error if isinstance(error, SshError) else None for error in made]


def _not_taken(error: SshError, path: str) -> Fault:
    if isinstance(error, StatusError) and error.code in (wire.NO_SUCH_FILE, wire.FAILURE):
        return sftp_answers.unstable(path)
    return sftp_answers.fault_of(error, path)


def _name_of(path: str) -> str:
    # Some servers list names in capitals. A name that differs only in case counts as present: that decides nothing.
    return name_of(path).casefold()


def _is_refused(there: bool | Fault) -> bool:
    return isinstance(there, Fault) and there.kind in REFUSED


def _unlisted(error: SshError, folder: str) -> Fault:
    fault = sftp_answers.fault_of(error, folder)
    if fault.kind is faults.NOT_FOUND:
        return Fault(faults.FOLDER_MISSING, path=folder)
    detail = several([Message("sftp.not_listed"), *filter(None, [fault.detail])])
    return Fault(fault.kind, detail, path=folder)
