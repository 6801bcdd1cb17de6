"""Django's e-mail backend, restricted to addresses that the address policy allows."""

import smtplib
import socket
from typing import Any

from django.core.mail.backends.smtp import EmailBackend as DjangoBackend

from erp_connectors import checked_connections
from erp_connectors.checked_connections import DEFAULT_SECONDS


class SMTP(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        seconds = timeout if isinstance(timeout, int | float) else DEFAULT_SECONDS
        return checked_connections.connect(host, port, seconds)


class SMTPOverTLS(smtplib.SMTP_SSL, SMTP):
    """`smtplib.SMTP_SSL` calls `_get_socket` of the next class, which is ours."""


class EmailBackend(DjangoBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return SMTPOverTLS if self.use_ssl else SMTP
