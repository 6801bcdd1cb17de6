"""The exceptions that paramiko raises for what the peer does, and the error that a failed handshake means."""

import struct

import paramiko
from cryptography.exceptions import InvalidSignature, InvalidTag

from erp_connectors.sftp import algorithms
from erp_connectors.sftp.errors import (
    ConnectionLost,
    HandshakeFailed,
    NoCommonAlgorithm,
    OutdatedAlgorithms,
    ServerBusy,
    SshError,
)
from erp_connectors.sftp.hardened_transport import GuardedTransport
from erp_connectors.sftp.other_services import first_line, other_service
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.server_algorithms import Offer

LINK_ERRORS = (paramiko.SSHException, OSError, EOFError)
# paramiko raises any of these while it parses bytes of the peer.
PEER_ERRORS = (
    *LINK_ERRORS,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    struct.error,
    InvalidSignature,
    InvalidTag,
)


def handshake_error(error: Exception, transport: GuardedTransport | None, hide: Redact) -> SshError:
    """Return the error that explains a failed handshake."""
    greeting = transport.greeting if transport else b""
    if not isinstance(error, LINK_ERRORS):
        return HandshakeFailed("it sends what is not SSH")
    text = str(error) or type(error).__name__
    if transport and transport.remote_version and isinstance(error, EOFError | OSError):
        return ConnectionLost("in the middle of the SSH handshake")
    if "banner" in text.lower() or isinstance(error, EOFError | ConnectionResetError):
        said = f'; it says: "{hide(first_line(greeting))}"' if greeting else ""
        if other := other_service(greeting):
            return other
        if "Invalid" in text or "Indecipherable" in text:
            return HandshakeFailed(f"it greets with something other than SSH{said}")
        return ServerBusy(f"the connection was closed before the greeting{said}")
    return HandshakeFailed(text)


def no_common_algorithm(problem: str, offer: Offer | None, *, legacy: bool) -> SshError:
    """Return the error for a handshake without a common algorithm. ``legacy``: we offered outdated ones, too."""
    if offer is None:
        return NoCommonAlgorithm(problem)
    outdated = not legacy and algorithms.is_only_outdated(offer)
    return (OutdatedAlgorithms if outdated else NoCommonAlgorithm)(f"{problem}. It offers {offer}.")
