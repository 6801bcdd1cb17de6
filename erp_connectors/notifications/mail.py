"""Send an e-mail to each address separately: no recipient sees the others, and a retry repeats none."""

import smtplib
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.utils import DNS_NAME

from erp_connectors.checked_connections import AddressRefused
from erp_connectors.notifications.email_text import EmailText
from erp_connectors.outbox.delivery_errors import ADDRESS_REFUSED, NotDelivered
from erp_connectors.sftp.redact import redactor

log = structlog.get_logger(__name__)


def post(email: EmailText, addresses: Sequence[str], message_id: str, reached: Callable[[str], None]) -> None:
    """Call ``reached`` with each address that the mail server took. Raises `NotDelivered` after the last one."""
    if not settings.MAIL_IS_SET_UP:
        raise NotDelivered("MAIL_NOT_SET_UP")
    try:
        refused = _refused_addresses(email, addresses, message_id, reached)
    except AddressRefused as error:
        # Where it leads is for the operator, not for the org's users.
        log.warning("mail.address_refused", error=str(error))
        raise NotDelivered("MAIL_SERVER_FORBIDDEN") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered("MAIL_SERVER_REFUSED", _said(error.smtp_code, error.smtp_error)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotDelivered("MAIL_SERVER_SILENT", type(error).__name__) from None
    if refused:
        raise NotDelivered(ADDRESS_REFUSED, "; ".join(refused)[:400])


def _refused_addresses(
    email: EmailText, addresses: Sequence[str], message_id: str, reached: Callable[[str], None]
) -> list[str]:
    """Send to each address; return those that the mail server refused, with what it says."""
    refused: list[str] = []
    with get_connection() as server:
        for address in addresses:
            try:
                server.send_messages([_message(email, address, message_id)])
            except smtplib.SMTPRecipientsRefused as error:
                refused.append(f"{address}: {_said(*error.recipients[address])}")
            else:
                reached(address)
    return refused


def _message(email: EmailText, address: str, message_id: str) -> EmailMessage:
    headers = {
        # The same for each attempt: a mailbox that has it already may drop the second one.
        "Message-ID": f"<{message_id}@{DNS_NAME}>",
        "Auto-Submitted": "auto-generated",
    }
    return EmailMessage(email.subject, email.body, to=[address], headers=headers)


def _said(code: int, text: bytes | str) -> str:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    # The server knows our password, and this text is shown to users of the org.
    hidden = redactor(settings.EMAIL_HOST_PASSWORD)(shown)
    return " ".join(f"{code} {hidden}".split())[:150]
