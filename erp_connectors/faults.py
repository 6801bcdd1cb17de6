"""Everything that can go wrong between an approved order and the ERP, as one table.

Fault
 |- TRANSIENT    the same attempt may succeed later: the export stays PENDING, and is FAILED after the last try
 |- ORDER        this order can't go out as it is: its export is FAILED at once
 |- CONNECTION   nothing can go out this way: the circuit opens, and every export stays PENDING until it works again
 `- FILE         what was found out about one file; the caller decides what it means
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from orderflow.messages import Message, Param, Template, as_message, english, register


class Scope(StrEnum):
    TRANSIENT = "transient"
    ORDER = "order"
    CONNECTION = "connection"
    FILE = "file"


class Side(StrEnum):
    """The side that can fix a fault: the operators of OrderFlow, those of the ERP's server, or the network."""

    US = "us"
    ERP = "ERP side"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One row of the table. ``hint`` tells the user what to do; ``side`` can fix the fault."""

    code: str
    scope: Scope
    side: Side
    meaning: str
    hint: str


_T, _O, _C, _F = Scope.TRANSIENT, Scope.ORDER, Scope.CONNECTION, Scope.FILE
_US, _ERP, _NET = Side.US, Side.ERP, Side.NETWORK
_WAIT = "Nothing to do yet: delivery is retried automatically."

NAME_NOT_FOUND = FaultKind(
    "NAME_NOT_FOUND", _T, _US, "The host name could not be looked up.",
    "Check the spelling of the host; if it is right, ask your network team about DNS.",
)  # fmt: skip
CONNECTION_REFUSED = FaultKind(
    "CONNECTION_REFUSED", _T, _ERP, "The server refused the TCP connection.",
    "Check the port, and ask the server's operator if the service is running.",
)  # fmt: skip
CONNECTION_TIMEOUT = FaultKind(
    "CONNECTION_TIMEOUT", _T, _NET, "The server did not answer in time.",
    "Ask your network team if a firewall blocks the connection. If the link is slow, raise connect_timeout.",
)  # fmt: skip
CONNECTION_LOST = FaultKind(
    "CONNECTION_LOST", _T, _NET, "The connection broke off.",
    _WAIT + " If it keeps happening, ask the server's operator."
)  # fmt: skip
SERVER_BUSY = FaultKind(
    "SERVER_BUSY", _T, _ERP, "The server dropped the connection before its SSH greeting.",
    "It is overloaded or limits connections (MaxStartups). Nothing to do unless it lasts.",
)  # fmt: skip
HOP_CONNECT_FAILED = FaultKind(
    "HOP_CONNECT_FAILED", _T, _NET, "The jump host or proxy could not connect to the server.",
    "Check host and port of the server: the jump host or proxy looks the name up and makes the connection. If they are "
    "right, ask its operator if it can reach the server.",
)  # fmt: skip
SLOW_DOWN = FaultKind(
    "SLOW_DOWN", _T, _ERP, "The server is overloaded, or it limits the number of requests.",
    _WAIT + " If it lasts, ask the server's operator about its limits.",
)  # fmt: skip
REMOTE_TIMEOUT = FaultKind(
    "REMOTE_TIMEOUT", _T, _ERP, "The server stopped responding during an operation.",
    _WAIT + " Raise io_timeout if the server is slow.",
)  # fmt: skip
REMOTE_FAILURE = FaultKind(
    "REMOTE_FAILURE", _T, _ERP, "The server reported a failure without details.",
    "Ask the server's operator for the server log at that time. Some servers report a missing file or folder this way.",
)  # fmt: skip
SIZE_MISMATCH = FaultKind(
    "SIZE_MISMATCH", _T, _ERP, "The file's size on the server differs from the number of bytes sent.",
    "The file was not published. If it lasts, ask the server's operator about its disk and quota.",
)  # fmt: skip
FOLDER_UNSTABLE = FaultKind(
    "FOLDER_UNSTABLE", _T, _ERP, "The folder was moved or replaced during an operation.",
    _WAIT + " Ask the server's operator not to move or rename the folder while the connection is active.",
)  # fmt: skip
ARCHIVE_UNAVAILABLE = FaultKind(
    "ARCHIVE_UNAVAILABLE", _T, _US, "The archived copy of the file can't be read.",
    "Check the object storage. Delivery continues when it responds again.",
)  # fmt: skip
ARCHIVE_ALTERED = FaultKind(
    "ARCHIVE_ALTERED", _O, _US, "The archived copy differs from what was recorded for this export.",
    "Find out who changed the archive. Then retry the push, which renders the order again.",
)  # fmt: skip
ORDER_INCOMPLETE = FaultKind(
    "ORDER_INCOMPLETE", _T, _US, "The database did not return the complete order.",
    _WAIT + " If it keeps happening, run manage.py doctor: a pooler in front of the database may mix up sessions.",
)  # fmt: skip
DESTINATION_MOVED = FaultKind(
    "DESTINATION_MOVED", _T, _US, "The file was staged at a destination that the connection no longer uses.",
    "Set the connection back to that destination until the outcome is known, or record the outcome on the "
    "export's page.",
)  # fmt: skip
INTERNAL_ERROR = FaultKind(
    "INTERNAL_ERROR", _T, _US, "An unexpected error occurred.",
    "Report it with the details shown here. The order is safe, and delivery is retried.",
)  # fmt: skip

RENDER_FAILED = FaultKind(
    "RENDER_FAILED", _O, _US, "The order can't be written in the export format.",
    "Correct what the message names in the order, approve it again and push it.",
)  # fmt: skip
SCHEMA_VIOLATION = FaultKind(
    "SCHEMA_VIOLATION", _O, _US, "The rendered file does not match its published schema.",
    "Correct what the message names in the order, approve it again and push it.",
)  # fmt: skip
NAME_TAKEN = FaultKind(
    "NAME_TAKEN", _O, _US, "Another file already has this name.",
    "Look at the file in the dropzone; then retry the push, which uses a new name.",
)  # fmt: skip
ALREADY_PUBLISHED = FaultKind(
    "ALREADY_PUBLISHED", _O, _US,
    "An earlier file of this order did reach the ERP, so the order was not sent again.",
    "If the order has changed since, tell the ERP team. The message names the earlier file.",
)  # fmt: skip
RESTORED = FaultKind(
    "RESTORED", _O, _US, "The database was restored from a backup, and this file may have reached the ERP since then.",
    "Ask the ERP team if they have the order. Then mark it as accepted, or as refused to send it again.",
)  # fmt: skip
REFUSED_BY_ERP = FaultKind(
    "REFUSED_BY_ERP", _O, _US, "The ERP took the file and refused the order.",
    "Correct what the ERP names, approve the order again and push it, or retry the push once the ERP is corrected.",
)  # fmt: skip

OUTCOME_UNKNOWN = FaultKind(
    "OUTCOME_UNKNOWN", _O, _US,
    "Delivery was interrupted, and the bucket keeps no versions, so whether the ERP took the file is not known.",
    "Ask the ERP team if they have the order. Then mark it as accepted, or as refused to send it again. With "
    "versioning enabled on the bucket, this can't happen.",
)  # fmt: skip
HOST_NOT_ALLOWED = FaultKind(
    "HOST_NOT_ALLOWED", _C, _US, "This deployment may not connect to that host.",
    "Choose another host, or have an admin add it to SFTP_ALLOWED_HOSTS.",
)  # fmt: skip
FORWARDING_REFUSED = FaultKind(
    "FORWARDING_REFUSED", _C, _NET, "The jump host or proxy does not allow a connection to the server.",
    "Ask its operator to allow connections to this host and port (OpenSSH: AllowTcpForwarding and PermitOpen).",
)  # fmt: skip
PROXY_LOGIN_REFUSED = FaultKind(
    "PROXY_LOGIN_REFUSED", _C, _NET, "The proxy refused the login or requires one.",
    "Check the proxy's user name and password with its operator.",
)  # fmt: skip
NOT_A_PROXY = FaultKind(
    "NOT_A_PROXY", _C, _US, "The service on the proxy's port is not a proxy of the chosen kind.",
    "Check the proxy's host and port, and whether it is an HTTP proxy or a SOCKS version 5 proxy.",
)  # fmt: skip
HOST_KEY_UNKNOWN = FaultKind(
    "HOST_KEY_UNKNOWN", _C, _US, "No host key is pinned for this server.",
    "Ask the server's operator for the fingerprint, compare it, and pin the key under Host key.",
)  # fmt: skip
HOST_KEY_CHANGED = FaultKind(
    "HOST_KEY_CHANGED", _C, _ERP, "The server's key is not the pinned one. Nothing was sent.",
    "Ask the server's operator if the key was changed. Then compare and pin the new one under Host key.",
)  # fmt: skip
NO_COMMON_ALGORITHM = FaultKind(
    "NO_COMMON_ALGORITHM", _C, _ERP, "The server offers no SSH algorithm that this program accepts.",
    "Ask the server's operator to enable current SSH algorithms; the message lists what it offers.",
)  # fmt: skip
OUTDATED_ALGORITHMS = FaultKind(
    "OUTDATED_ALGORITHMS", _C, _ERP, "The server offers only outdated SSH algorithms.",
    "Ask the server's operator to enable current SSH algorithms; the message lists what it offers. Until then, turn on "
    "'Allow outdated algorithms' in the connection.",
)  # fmt: skip
HANDSHAKE_FAILED = FaultKind(
    "HANDSHAKE_FAILED", _C, _US, "The service on this port does not complete an SSH handshake.",
    "Check the port: it must be the server's SSH port.",
)  # fmt: skip
WEB_SERVER = FaultKind(
    "WEB_SERVER", _C, _US, "A web server answers on this port, not an SSH server.",
    "Check host and port: SFTP uses the server's SSH port, usually 22.",
)  # fmt: skip
FTP_SERVER = FaultKind(
    "FTP_SERVER", _C, _US, "An FTP server answers on this port, not an SSH server.",
    "Check the port: SFTP is another protocol than FTP and uses the server's SSH port, usually 22.",
)  # fmt: skip
TLS_SERVER = FaultKind(
    "TLS_SERVER", _C, _US, "A TLS server (HTTPS or FTPS) answers on this port, not an SSH server.",
    "Check the port: SFTP is another protocol than HTTPS and FTPS and uses the server's SSH port, usually 22.",
)  # fmt: skip
LOGIN_REFUSED = FaultKind(
    "LOGIN_REFUSED", _C, _ERP, "The server refused the login.",
    "Check the user name and the password or key with the server's operator.",
)  # fmt: skip
KEY_UNREADABLE = FaultKind(
    "KEY_UNREADABLE", _C, _US, "The SSH key of this connection can't be read.",
    "Enter the private key again (OpenSSH, PEM or PuTTY), with its passphrase if it has one.",
)  # fmt: skip
SFTP_UNAVAILABLE = FaultKind(
    "SFTP_UNAVAILABLE", _C, _ERP, "The login works, but SFTP is not enabled for this user.",
    "Ask the server's operator to enable the sftp subsystem for this user.",
)  # fmt: skip
FOLDER_UNAVAILABLE = FaultKind(
    "FOLDER_UNAVAILABLE", _C, _ERP, "The server reports a failure for the folder; most likely it does not exist.",
    "Check the path in the connection, and ask the server's operator whether the folder exists.",
)  # fmt: skip
SFTP_VERSION_UNSUPPORTED = FaultKind(
    "SFTP_VERSION_UNSUPPORTED", _C, _ERP, "The server does not speak SFTP version 3.",
    "Ask the server's operator to enable version 3, which nearly every SFTP program uses.",
)  # fmt: skip
BUCKET_MISSING = FaultKind(
    "BUCKET_MISSING", _C, _ERP, "The bucket does not exist.",
    "Check the name of the bucket, the endpoint and the region in the connection, or create the bucket.",
)  # fmt: skip
WRONG_REGION = FaultKind(
    "WRONG_REGION", _C, _US, "The bucket is in another region or at another endpoint.",
    "Correct the region and the endpoint in the connection.",
)  # fmt: skip
CLOCK_SKEW = FaultKind(
    "CLOCK_SKEW", _C, _US, "Our clock and the server's clock differ too much.",
    "Synchronise the clocks of this host and of the server (NTP), then test the connection.",
)  # fmt: skip
TLS_FAILED = FaultKind(
    "TLS_FAILED", _C, _ERP, "The TLS connection failed, or the server's certificate is not valid.",
    "Check host and port. The certificate must be valid for this host name and issued by a trusted authority.",
)  # fmt: skip
NOT_S3 = FaultKind(
    "NOT_S3", _C, _US, "The server does not answer as an S3 service does.",
    "Check the endpoint: it must be the address of the S3 service, not of its web console.",
)  # fmt: skip
FOLDER_MISSING = FaultKind(
    "FOLDER_MISSING", _C, _ERP, "The folder does not exist.", "Create it, or correct the path in the connection."
)  # fmt: skip
PERMISSION_DENIED = FaultKind(
    "PERMISSION_DENIED", _C, _ERP, "The user may not do this in that folder.",
    "Ask the server's operator for the right to read, write, rename and delete there.",
)  # fmt: skip
DISK_FULL = FaultKind(
    "DISK_FULL", _C, _ERP, "The dropzone's disk is full or over quota.", "Ask the ERP's operator to free space there."
)  # fmt: skip
RENAME_UNSUPPORTED = FaultKind(
    "RENAME_UNSUPPORTED", _C, _ERP, "The server can't rename files.",
    "Ask the server's operator to allow renaming, or set atomic_write to false and accept its weaker guarantee.",
)  # fmt: skip
OPERATION_UNSUPPORTED = FaultKind(
    "OPERATION_UNSUPPORTED", _C, _ERP, "The server does not support a required operation.",
    "Ask the server's operator to enable plain SFTP: reading, writing, listing, deleting and making folders.",
)  # fmt: skip
OUTSIDE_ROOTS = FaultKind(
    "OUTSIDE_ROOTS", _C, _US, "The folder is outside the folders that this deployment allows.",
    "Choose a folder below one of DROPZONE_ROOTS, or have an admin add its root.",
)  # fmt: skip
CONNECTION_DISABLED = FaultKind(
    "CONNECTION_DISABLED", _C, _US, "The connection is disabled, so nothing is sent.",
    "Activate the connection again, or move the waiting exports to the active connection, which then sends them.",
)  # fmt: skip
CONFIG_UNREADABLE = FaultKind(
    "CONFIG_UNREADABLE", _C, _US, "The stored configuration can't be decrypted.",
    "Restore the encryption key it was written with, or enter the connection's details again.",
)  # fmt: skip
CONFIG_INVALID = FaultKind(
    "CONFIG_INVALID", _C, _US, "The stored configuration is not valid.",
    "Open the connection and correct the fields named.",
)  # fmt: skip
CONNECTOR_UNKNOWN = FaultKind(
    "CONNECTOR_UNKNOWN", _C, _US, "This deployment has no connector of the connection's type.",
    "Install the package that provides it and restart, or disable the connection.",
)  # fmt: skip

NOT_FOUND = FaultKind("NOT_FOUND", _F, _US, "There is no such file.", "Nothing to do.")
NOT_A_FILE = FaultKind("NOT_A_FILE", _F, _ERP, "It is not a regular file.", "Remove it or move it elsewhere.")
TOO_LARGE = FaultKind("TOO_LARGE", _F, _ERP, "The file is larger than allowed.", "Write a smaller file.")

FAULT_KINDS: dict[str, FaultKind] = {
    kind.code: kind for kind in list(globals().values()) if isinstance(kind, FaultKind)
}


register(
    {
        kind.code: Template(kind.meaning, before={"path": "%(path)s:"}, optional={"detail": "%(detail)s"})
        for kind in FAULT_KINDS.values()
    }
)
register({"fault.exception_in": "%(error)s in %(method)s."})


def exception_in(method: str, error: Exception) -> Message:
    """Return the detail for what a method must not raise. The error's text may hold a secret: only the log has it."""
    return Message("fault.exception_in", error=type(error).__name__, method=method)


class Fault(Exception):
    """A fault that happened. ``detail``: sentences for what the table can't say, without a secret.

    A detail that is text is another program's: it is shown as it is.

    ``scope``: that of the kind, unless a wider one is given: a bug of a transport affects its whole connection.
    """

    def __init__(
        self,
        kind: FaultKind,
        detail: Message | str | None = None,
        *,
        path: str = "",
        scope: Scope | None = None,
    ) -> None:
        self.kind = kind
        self.scope = scope or kind.scope
        self.detail = as_message(detail) if detail else None
        self.path = _showable(path)
        super().__init__(kind.code)

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """The text in English, for logs and commands."""
        return english(self.as_message())

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def transient(self) -> bool:
        return self.scope is Scope.TRANSIENT

    def as_message(self, *, with_path: bool = True) -> Message:
        """Return the fault as a message: the kind's code, with path and detail if there are any."""
        params: dict[str, Param] = {"path": self.path if with_path else "", "detail": self.detail}
        return Message(self.code, **{name: value for name, value in params.items() if value})

    def as_log(self, *, stage: str, attempt: int) -> dict[str, Any]:
        """Return the fields of a log line about an export."""
        return {"code": self.code, "message": self.message, "stage": str(stage), "attempt": attempt}

    def as_error(self, *, stage: str, attempt: int, at: datetime) -> dict[str, Any]:
        """Return the record of the fault, see `fault_records`."""
        return {
            **self.as_message().as_json(),
            "stage": stage,
            "attempt": attempt,
            "time": at.isoformat(),
        }


def _showable(path: str) -> str:
    """File names may hold anything, what is shown and stored may not."""
    if path.isprintable():
        return path
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path)
