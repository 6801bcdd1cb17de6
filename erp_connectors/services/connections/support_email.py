"""Write a mail to the operator of the ERP's server: our settings, the result of the last test, and our request."""

from dataclasses import dataclass
from urllib.parse import quote

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import Purpose
from erp_connectors.connection_config import config_fields
from erp_connectors.dropzones import dropzone_of
from erp_connectors.fault_requests import REQUESTS
from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection
from erp_connectors.services.connections.host_keys import pinned_keys
from erp_connectors.services.connections.test_report import ProbeReport, ReportedStep
from erp_connectors.sftp.errors import KeyUnreadable
from erp_connectors.sftp.key_pairs import public_half
from orderflow.messages import text


@dataclass(frozen=True, slots=True)
class SupportEmail:
    subject: str
    body: str

    @property
    def mailto(self) -> str:
        return f"mailto:?subject={quote(self.subject)}&body={quote(self.body)}"


def erp_message(connection: ERPConnection, report: ProbeReport | None) -> SupportEmail:
    """In the language that is active; holds no secret."""
    try:
        dropzone = dropzone_of(connection)
    except Fault:
        return SupportEmail("", "")
    paragraphs = [
        _("Hello,"),
        _("%(org)s sends orders to your ERP through this dropzone:") % {"org": connection.org.name},
        "\n".join(_facts(connection, dropzone)),
        *_test_results(report),
        _request(connection, report),
        _("Thank you"),
    ]
    return SupportEmail(_subject(connection, report), "\n\n".join(part for part in paragraphs if part))


def own_public_key(connection: ERPConnection) -> str:
    """Return the public half of the key that the connection logs in with; empty if there is none that can be read."""
    return _public_key(connection, Purpose.PRIVATE_KEY, Purpose.PASSPHRASE)


def hop_public_key(connection: ERPConnection) -> str:
    """Return the public half of the key for a jump host; empty if there is none that can be read."""
    return _public_key(connection, Purpose.HOP_PRIVATE_KEY, Purpose.HOP_PASSPHRASE)


def next_public_key(connection: ERPConnection) -> str:
    """Return the public half of the key that is planned; empty if there is none that can be read."""
    return _public_key(connection, Purpose.NEXT_PRIVATE_KEY, Purpose.PASSPHRASE)


def _public_key(connection: ERPConnection, key: Purpose, passphrase: Purpose) -> str:
    config, described = connection.config, config_fields(connection.connector_type)
    of = {field.purpose: config.get(field.name) for field in described}
    try:
        private = of.get(key)
        return public_half(private, of.get(passphrase)) if private else ""
    except KeyUnreadable:
        return ""


def _subject(connection: ERPConnection, report: ProbeReport | None) -> str:
    names = {"org": connection.org.name}
    if report is None:
        return _("Dropzone for orders of %(org)s: please set up") % names
    if report.failed:
        return _("Dropzone for orders of %(org)s: connection test failed") % names
    return _("Dropzone for orders of %(org)s: connection test passed") % names


def _facts(connection: ERPConnection, dropzone: Dropzone) -> list[str]:
    endpoint = dropzone.options.endpoint()
    lines = {
        _("Server"): f"{endpoint.host}:{endpoint.port}" if endpoint.host else "",
        _("User"): endpoint.user,
        _("Reached through"): endpoint.via,
        _("Export folder"): dropzone.export_path,
        _("Ack folder"): dropzone.ack_path or "",
        _("Our public key"): own_public_key(connection),
        _("Our new public key, to be entered beside it"): next_public_key(connection),
        _("Our public key for the jump host"): hop_public_key(connection),
        _("Host key that we expect"): ", ".join(
            f"{key.type} {key.fingerprint}" for key in pinned_keys(connection)
        ),
    }
    return [f"{name}: {value}" for name, value in lines.items() if value]


def _test_results(report: ProbeReport | None) -> list[str]:
    if report is None:
        return []
    when = date_format(report.at, "DATETIME_FORMAT")
    title = _("Connection test of %(when)s (UTC):") % {"when": when}
    return ["\n".join([title, *(_line(step) for step in report.steps)])]


def _line(step: ReportedStep) -> str:
    mark, found = (_("ok"), text(step.result)) if step.ok else (_("FAILED"), text(step.cause))
    return f"- {_(step.label)} ({step.duration_ms} ms): {mark}. {found}".rstrip()


def _request(connection: ERPConnection, report: ProbeReport | None) -> str:
    if report is None:
        key = _("enter our public key for this user") if own_public_key(connection) else ""
        wishes = [key, _("create the folders with the right to list, read, write, rename and delete")]
        wishes.append(_("tell us the fingerprints of your host keys (ssh-keygen -lf)"))
        return "\n".join([_("Please"), *(f"- {wish}" for wish in wishes if wish)])
    kind = report.failed.kind if report.failed else None
    if report.failed is None:
        return _("Everything works; there is nothing to do.")
    request = REQUESTS.get(kind.code) if kind else None
    return _(request) if request else _("We are looking into it on our side.")
