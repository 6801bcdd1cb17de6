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
from erp_connectors.sftp.texts import Text, sentence_of

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
        return HandshakeFailed(Text("ssh.sends_no_ssh"))
    text = str(error) or type(error).__name__
    if transport and transport.remote_version and isinstance(error, EOFError | OSError):
        return ConnectionLost(Text("ssh.in_handshake"))
    if "banner" in text.lower() or isinstance(error, EOFError | ConnectionResetError):
        says = (Text("ssh.says", greeting=first_line(greeting, hide)),) if greeting else ()
        if other := other_service(greeting, hide):
            return other
        if "Invalid" in text or "Indecipherable" in text:
            return HandshakeFailed(Text("ssh.greets_otherwise"), *says)
        return ServerBusy(Text("ssh.closed_before_greeting"), *says)
    return HandshakeFailed(*sentence_of(hide(text)))


def no_common_algorithm(problem: str, offer: Offer | None, *, legacy: bool) -> SshError:
    """Return the error for a handshake without a common algorithm. ``legacy``: we offered outdated ones, too."""
    if offer is None:
        return NoCommonAlgorithm(*sentence_of(problem))
    outdated = not legacy and algorithms.is_only_outdated(offer)
    return (OutdatedAlgorithms if outdated else NoCommonAlgorithm)(*sentence_of(problem), offer.text)
