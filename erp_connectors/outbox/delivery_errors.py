"""The table of reasons why a notification was not delivered, with what to do."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from orderflow.messages import Message, Template, register, storable, text

ADDRESS_REFUSED = "ADDRESS_REFUSED"


class NotDelivered(Exception):
    """``detail``: a host, or text of another program; ``final``: the receiver wants nothing more, ever."""

    def __init__(self, code: str, detail: str = "", *, final: bool = False) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code, self.detail, self.final = code, detail, final

    def as_row(self) -> dict[str, str]:
        return {"code": self.code, "detail": storable(self.detail)}


@dataclass(frozen=True, slots=True)
class Reason:
    meaning: str
    hint: str


REASONS = {
    "NAME_NOT_FOUND": Reason(
        gettext_noop("The receiver's host name is not known."),
        gettext_noop("Check the URL for a typing error."),
    ),
    "NOT_REACHED": Reason(
        gettext_noop("The receiver could not be reached."),
        gettext_noop("Ask its operator if it is running, and if a firewall blocks the connection."),
    ),
    "NO_ANSWER": Reason(
        gettext_noop("The receiver took too long to respond."),
        gettext_noop("It should respond at once and do its work afterwards."),
    ),
    "PLACE_FORBIDDEN": Reason(
        gettext_noop("The receiver's host lies in a private network, where webhooks may not go."),
        gettext_noop(
            "Choose a public address, or ask the operator of OrderFlow to add the host to WEBHOOK_PRIVATE_HOSTS."
        ),
    ),
    "PLACE_NEVER": Reason(
        gettext_noop("The receiver's host has an address that no webhook may go to."),
        gettext_noop("Choose a public address. This one is link-local, a multicast or a metadata address."),
    ),
    "NOT_ENCRYPTED": Reason(
        gettext_noop("The URL does not begin with https://, and plain http is not allowed here."),
        gettext_noop("Use https."),
    ),
    "CERTIFICATE": Reason(
        gettext_noop("The receiver's TLS certificate is not valid."),
        gettext_noop("Ask its operator to renew or complete it."),
    ),
    "REDIRECTED": Reason(
        gettext_noop("The receiver redirects to another address. Redirects are not followed."),
        gettext_noop("Enter the final URL."),
    ),
    "GONE": Reason(
        gettext_noop("The receiver says that it no longer exists (410)."),
        gettext_noop("Remove this notification, or enter its new URL."),
    ),
    "ANSWERED": Reason(
        gettext_noop("The receiver did not accept it."),
        gettext_noop(
            "Check its log. A 401 or 403 usually means that it checks the signature with another secret."
        ),
    ),
    "NOT_HTTP": Reason(
        gettext_noop("The service at this address does not speak HTTP."),
        gettext_noop("Check host and port of the URL."),
    ),
    "SECRET_UNREADABLE": Reason(
        gettext_noop("Its signing secret can't be decrypted."),
        gettext_noop("Replace the secret, or ask the operator of OrderFlow about ENCRYPTION_PREVIOUS_KEYS."),
    ),
    "MAIL_NOT_SET_UP": Reason(
        gettext_noop("This OrderFlow can't send e-mail."),
        gettext_noop("Ask its operator to set EMAIL_URL."),
    ),
    "MAIL_SERVER_SILENT": Reason(
        gettext_noop("Our mail server could not be reached."), gettext_noop("Tell the operator of OrderFlow.")
    ),
    "MAIL_SERVER_FORBIDDEN": Reason(
        gettext_noop("The name of our mail server resolves to an address that is not allowed."),
        gettext_noop("Tell the operator of OrderFlow."),
    ),
    "MAIL_SERVER_REFUSED": Reason(
        gettext_noop("Our mail server did not accept the e-mail."),
        gettext_noop("Tell the operator of OrderFlow."),
    ),
    ADDRESS_REFUSED: Reason(
        gettext_noop("The mail server refused an address."), gettext_noop("Check it for a typing error.")
    ),
}
# Faults have codes with the same names.
MESSAGES = {code: f"undelivered.{code.lower()}" for code in REASONS}
_DETAIL = {"detail": "(%(detail)s)"}
register({MESSAGES[code]: Template(reason.meaning, optional=_DETAIL) for code, reason in REASONS.items()})


def worded(row: dict[str, Any] | None) -> tuple[str, str]:
    """Return cause and hint of a stored error, in the active language."""
    if not row:
        return "", ""
    code = row["code"]
    return text(Message(MESSAGES[code], detail=row["detail"])), _(REASONS[code].hint)
