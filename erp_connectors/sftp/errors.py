"""Errors of the engine.

SshError
 |- NameNotFound, ConnectionRefused, ConnectTimeout, ServerBusy      no connection
 |- HopConnectFailed, ForwardingRefused, ProxyLoginRefused, NotAProxy  no connection through a jump host or proxy
 |- HandshakeFailed, WebServerAnswers, FtpServerAnswers, TlsServerAnswers
 |- NoCommonAlgorithm, OutdatedAlgorithms, HostKeyUnknown, HostKeyChanged
 |- LoginRefused, KeyUnreadable, SftpUnavailable, SftpVersionUnsupported
 |- ConnectionLost, RequestTimeout, ProtocolViolation                the session is over
 |   |- ChannelsRefused (of ConnectionLost)                          ... because it was asked for several channels
 |   `- HandleReused (of ProtocolViolation)                          ... because files could be swapped
 `- StatusError                                                      the server's answer about one file
     `- TransferRefused                                              ... after it had opened that file
"""

from erp_connectors.sftp.texts import MAX_TEXT, Text, showable


class SshError(Exception):
    """``texts``: sentences that say more than the class."""

    def __init__(self, *texts: Text) -> None:
        self.texts = texts
        super().__init__(*texts)

    def __str__(self) -> str:
        return " ".join(map(str, self.texts))


class NameNotFound(SshError):
    pass


class ConnectionRefused(SshError):
    pass


class ConnectTimeout(SshError):
    pass


class ServerBusy(SshError):
    pass


class HopConnectFailed(SshError):
    """The jump host or proxy could not reach the server."""


class ForwardingRefused(SshError):
    """The jump host or proxy does not allow the connection."""


class ProxyLoginRefused(SshError):
    pass


class NotAProxy(SshError):
    pass


class HandshakeFailed(SshError):
    pass


class WebServerAnswers(SshError):
    pass


class FtpServerAnswers(SshError):
    pass


class TlsServerAnswers(SshError):
    pass


class NoCommonAlgorithm(SshError):
    pass


class OutdatedAlgorithms(SshError):
    """Nothing is common with what this program offers, but would be with the outdated algorithms."""


class HostKeyUnknown(SshError):
    pass


class HostKeyChanged(SshError):
    pass


class LoginRefused(SshError):
    pass


class KeyUnreadable(SshError):
    pass


class SftpUnavailable(SshError):
    pass


class SftpVersionUnsupported(SshError):
    pass


class ConnectionLost(SshError):
    pass


class RequestTimeout(SshError):
    pass


class ProtocolViolation(SshError):
    pass


class ChannelsRefused(ConnectionLost):
    """The connection ended while a further channel was asked for, and no request was sent meanwhile."""


class HandleReused(ProtocolViolation):
    """The server gave out a handle that is still open. ``answered``: nothing that was asked for is still under way."""

    answered = False


class StatusError(SshError):
    """An SSH_FXP_STATUS other than OK; ``code`` as in draft-ietf-secsh-filexfer-02, section 7."""

    # Of a refusal to open a file: how many files were open on the channel then. -1: it refused something else.
    open_already: int = -1

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = showable(text, MAX_TEXT)
        super().__init__(Text("ssh.status", status=code, says=self.text))


class TransferRefused(StatusError):
    """The file had been opened, so a "no such file" says nothing about its folder."""
