"""Detect a web, FTP or TLS server that answers instead of SSH, by the first bytes that it sends."""

import re

from erp_connectors.sftp.errors import FtpServerAnswers, SshError, TlsServerAnswers, WebServerAnswers
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.texts import Text

# The text about the usual service of a port, for a server that sends nothing: OpenSSL hangs up without an alert.
USUAL_PORTS = {
    21: "ssh.usual_port_of_ftp", 990: "ssh.usual_port_of_ftps",
    **dict.fromkeys((80, 443, 8000, 8080, 8443), "ssh.usual_port_of_web"),
}  # fmt: skip
MAX_LINE = 100
# Some servers take "SSH-2.0-…" for a request of HTTP/0.9 and answer without a status line.
_HTTP = re.compile(rb"\s*(HTTP/\d|<!doctype html|<html)", re.IGNORECASE)
_FTP = re.compile(rb"220[ -]")
_MAIL = re.compile(rb"E?SMTP", re.IGNORECASE)
# A record of an alert or a handshake, of any version since SSL 3.
_TLS = re.compile(rb"[\x15\x16]\x03[\x00-\x04]")


def other_service(greeting: bytes, hide: Redact) -> SshError | None:
    """Return the error that names the service; None if the first bytes do not show it."""
    says = Text("ssh.says", greeting=first_line(greeting, hide))
    if _HTTP.match(greeting):
        return WebServerAnswers(says)
    if _TLS.match(greeting):
        return TlsServerAnswers(Text("ssh.sends_tls"))
    if _FTP.match(greeting) and not _MAIL.search(greeting):
        return FtpServerAnswers(says)
    return None


def first_line(greeting: bytes, hide: Redact) -> str:
    line = greeting.strip().splitlines()[:1]
    # Cut afterwards: half a secret is not found any more.
    return hide(line[0].decode("utf-8", "replace"))[:MAX_LINE] if line else ""
