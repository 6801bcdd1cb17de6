"""Map an SFTP server's answers to the outcome of a file, or to a `Fault`."""

import stat
from collections.abc import Iterator

from erp_connectors import faults
from erp_connectors.dropzone_paths import folder_of
from erp_connectors.faults import Fault, FaultKind
from erp_connectors.port_types import Entry, Move, Upload
from erp_connectors.sftp import errors, wire
from erp_connectors.sftp.operations import WriteResult
from erp_connectors.sftp.wire import Attributes
from erp_connectors.ssh_messages import explanation
from erp_connectors.transports.base import mode_remark
from orderflow.messages import Message, several

FAULT_OF_ERROR: dict[type[errors.SshError], FaultKind] = {
    errors.NameNotFound: faults.NAME_NOT_FOUND,
    errors.ConnectionRefused: faults.CONNECTION_REFUSED,
    errors.ConnectTimeout: faults.CONNECTION_TIMEOUT,
    errors.ServerBusy: faults.SERVER_BUSY,
    errors.HopConnectFailed: faults.HOP_CONNECT_FAILED,
    errors.ForwardingRefused: faults.FORWARDING_REFUSED,
    errors.ProxyLoginRefused: faults.PROXY_LOGIN_REFUSED,
    errors.NotAProxy: faults.NOT_A_PROXY,
    errors.HandshakeFailed: faults.HANDSHAKE_FAILED,
    errors.WebServerAnswers: faults.WEB_SERVER,
    errors.FtpServerAnswers: faults.FTP_SERVER,
    errors.TlsServerAnswers: faults.TLS_SERVER,
    errors.NoCommonAlgorithm: faults.NO_COMMON_ALGORITHM,
    errors.OutdatedAlgorithms: faults.OUTDATED_ALGORITHMS,
    errors.HostKeyUnknown: faults.HOST_KEY_UNKNOWN,
    errors.HostKeyChanged: faults.HOST_KEY_CHANGED,
    errors.LoginRefused: faults.LOGIN_REFUSED,
    errors.KeyUnreadable: faults.KEY_UNREADABLE,
    errors.SftpUnavailable: faults.SFTP_UNAVAILABLE,
    errors.SftpVersionUnsupported: faults.SFTP_VERSION_UNSUPPORTED,
    errors.ConnectionLost: faults.CONNECTION_LOST,
    errors.RequestTimeout: faults.REMOTE_TIMEOUT,
    errors.ProtocolViolation: faults.CONNECTION_LOST,
    errors.ChannelsRefused: faults.CONNECTION_LOST,
    errors.HandleReused: faults.CONNECTION_LOST,
    errors.StatusError: faults.REMOTE_FAILURE,
    errors.TransferRefused: faults.REMOTE_FAILURE,
}
FAULT_OF_STATUS: dict[int, FaultKind] = {
    wire.NO_SUCH_FILE: faults.NOT_FOUND,
    wire.PERMISSION_DENIED: faults.PERMISSION_DENIED,
    wire.OP_UNSUPPORTED: faults.OPERATION_UNSUPPORTED,
    wire.NO_CONNECTION: faults.CONNECTION_LOST,
    wire.CONNECTION_LOST: faults.CONNECTION_LOST,
    wire.FILE_ALREADY_EXISTS: faults.NAME_TAKEN,
    wire.NO_SPACE: faults.DISK_FULL,
    wire.QUOTA_EXCEEDED: faults.DISK_FULL,
}
# No database holds more, and no file has so many bytes.
MAX_SIZE = (1 << 63) - 1
FULL_DISK_WORDS = ("no space", "quota", "disk full")


def fault_of(error: errors.SshError, path: str) -> Fault:
    if isinstance(error, errors.StatusError):
        says = Message("sftp.server_says", text=error.text) if error.text else None
        return Fault(kind_of_status(error), says, path=path)
    return Fault(FAULT_OF_ERROR[type(error)], explanation(error), path=path)


def kind_of_status(error: errors.StatusError) -> FaultKind:
    if error.code == wire.FAILURE and any(words in error.text.lower() for words in FULL_DISK_WORDS):
        return faults.DISK_FULL
    return FAULT_OF_STATUS.get(error.code, faults.REMOTE_FAILURE)


def outcome_of(result: object, path: str) -> Fault | None:
    return fault_of(result, path) if isinstance(result, errors.SshError) else None


def renamed_outcome(result: object, move: Move) -> Fault | None:
    fault = outcome_of(result, move.source)
    if fault and fault.kind is faults.OPERATION_UNSUPPORTED:
        return Fault(faults.RENAME_UNSUPPORTED, fault.detail, path=move.source)
    return fault


def may_be_absent(outcome: Fault | None) -> bool:
    """Whether a rename's answer could mean that its source is absent. Some servers say FAILURE for that, too."""
    return outcome is not None and outcome.kind in (faults.NOT_FOUND, faults.REMOTE_FAILURE)


def proven_outcome(outcome: Fault | None, move: Move, there: bool | Fault) -> Fault | None:
    """The outcome of a rename, from its answer and from what `confirm_absent` found out about the source."""
    if there is False:
        return Fault(faults.NOT_FOUND, path=move.source)
    if outcome is None or outcome.kind is faults.REMOTE_FAILURE:
        return outcome
    return unstable(move.source) if there is True else there


def unstable(path: str) -> Fault:
    return Fault(faults.FOLDER_UNSTABLE, Message("sftp.absent_then_there"), path=path)


def written_outcome(upload: Upload, file: WriteResult | errors.SshError) -> Fault | None:
    if isinstance(file, errors.SshError):
        return _write_fault(upload, file)
    look = file.look
    if isinstance(look, errors.StatusError):
        # Without a right to look, what was written and closed without an error is there. An absent file is not.
        absent = look.code == wire.NO_SUCH_FILE
        return Fault(faults.SIZE_MISMATCH, Message("sftp.not_there"), path=upload.path) if absent else None
    if look.size is not None and look.size != len(upload.data):
        sizes = Message("file.size", size=look.size, expected=len(upload.data))
        return Fault(faults.SIZE_MISMATCH, sizes, path=upload.path)
    return None


def _write_fault(upload: Upload, error: errors.SshError) -> Fault:
    fault = fault_of(error, upload.path)
    if fault.kind is faults.REMOTE_FAILURE:
        detail = several([*filter(None, [fault.detail]), Message("sftp.often_full")])
        return Fault(fault.kind, detail, path=upload.path)
    if fault.kind is not faults.NOT_FOUND:
        return fault
    if isinstance(error, errors.TransferRefused):
        return Fault(faults.REMOTE_FAILURE, fault.detail, path=upload.path)
    # A file that is being created can't be absent: its folder is.
    return Fault(faults.FOLDER_MISSING, path=folder_of(upload.path))


def remarks_on(upload: Upload, file: WriteResult | errors.SshError) -> Iterator[Message]:
    """Yield remarks for operators about a file that was written."""
    if isinstance(file, errors.SshError):
        return
    if isinstance(file.look, errors.StatusError):
        yield Message("remark.size_not_confirmed", why=_server_text(file.look))
    elif remark := mode_remark(upload, file.look.permissions):
        yield remark
    elif file.mode_refused and file.look.permissions is None:
        yield Message("remark.file_mode_refused", why=_server_text(file.mode_refused))
    if file.sync_refused:
        yield Message("remark.fsync_refused", why=_server_text(file.sync_refused))


def _server_text(refusal: errors.StatusError) -> str:
    return refusal.text.rstrip(". ") or f"status {refusal.code}"


def listing_fault(error: errors.SshError, folder: str) -> Fault:
    """Of a folder that could not be listed."""
    fault = fault_of(error, folder)
    if fault.kind is faults.NOT_FOUND:
        return Fault(faults.FOLDER_MISSING, path=folder)
    if fault.kind is faults.REMOTE_FAILURE:
        return Fault(faults.FOLDER_UNAVAILABLE, fault.detail, path=folder)
    return fault


def folder_fault(result: object, folder: str) -> Fault | None:
    fault = outcome_of(result, folder)
    if fault is None:
        return None if result else Fault(faults.FOLDER_MISSING, Message("file.not_a_folder"), path=folder)
    return Fault(faults.FOLDER_MISSING, path=folder) if fault.kind is faults.NOT_FOUND else fault


def presence_of(result: object, path: str, missing_folder: Fault | None) -> bool | Fault:
    fault = outcome_of(result, path)
    if fault and fault.kind is faults.NOT_FOUND:
        return missing_folder or False
    return fault or True


def is_taken(there: bool | Fault) -> bool:
    return there is True or (isinstance(there, Fault) and there.kind is not faults.FOLDER_MISSING)


def taken_outcome(move: Move, there: bool | Fault) -> Fault:
    return there if isinstance(there, Fault) else Fault(faults.NAME_TAKEN, path=move.target)


def size_of(look: object) -> int | None:
    return look.size if isinstance(look, Attributes) else None


def unreadable_fault(look: object, path: str, max_bytes: int) -> Fault | None:
    if not isinstance(look, Attributes):
        return outcome_of(look, path)
    if look.permissions is not None and not stat.S_ISREG(look.permissions):
        return Fault(faults.NOT_A_FILE, path=path)
    if look.size is not None and look.size > max_bytes:
        return Fault(faults.TOO_LARGE, Message("file.too_large", most=max_bytes), path=path)
    return None


def entry_of(named: wire.NamedFile) -> Entry:
    attributes = named.attributes
    is_file = attributes.permissions is None or stat.S_ISREG(attributes.permissions)
    return Entry(named.name, min(attributes.size or 0, MAX_SIZE), attributes.mtime or 0, is_file)
