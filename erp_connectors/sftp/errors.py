"""What the engine raises.

SshError
 |- NameNotFound, ConnectionRefused, ConnectTimeout, ServerBusy      no connection
 |- HandshakeFailed, NoCommonAlgorithm, HostKeyUnknown, HostKeyChanged
 |- LoginRefused, KeyUnreadable, SftpUnavailable
 |- ConnectionLost, RequestTimeout, ProtocolViolation                the session is over
 `- StatusError                                                      the server's answer about one file
"""


class SshError(Exception):
    """The text is for people and never holds a secret."""


class NameNotFound(SshError):
    pass


class ConnectionRefused(SshError):
    pass


class ConnectTimeout(SshError):
    pass


class ServerBusy(SshError):
    pass


class HandshakeFailed(SshError):
    pass


class NoCommonAlgorithm(SshError):
    pass


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


class ConnectionLost(SshError):
    pass


class RequestTimeout(SshError):
    pass


class ProtocolViolation(SshError):
    pass


class StatusError(SshError):
    """An SSH_FXP_STATUS other than OK; ``code`` as in draft-ietf-secsh-filexfer-02, section 7."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"status {code}: {text}")
