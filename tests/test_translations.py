"""German for every text that the program marks as one, and the compiled catalogue in step with what people edit."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.utils.translation import gettext as translate
from django.utils.translation import ngettext, override

from erp_connectors.admin.overview.rules import RULES
from erp_connectors.connection_config import config_fields
from erp_connectors.fault_requests import REQUESTS
from erp_connectors.faults import FAULT_KINDS
from erp_connectors.outbox.delivery_errors import REASONS
from erp_connectors.registry import CONNECTORS
from erp_connectors.services.connections.capabilities import SERVER_CAPABILITIES
from erp_connectors.services.connections.test_report import OUR_STEPS
from erp_connectors.services.exports import deadlines
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.services.status.event_texts import EVENT_TEXTS
from erp_connectors.transports.filesystem import FilesystemTransport
from erp_connectors.transports.sftp import SftpTransport
from orderflow import messages

APP = Path(__file__).resolve().parents[1] / "erp_connectors"
CATALOGUE = Path("locale/de/LC_MESSAGES/django")
SITE = APP.parent / "orderflow"
TEMPLATES = [path for of in (APP, SITE) for path in sorted(of.rglob("*.html"))]
# Commands speak to operators, in English.
MODULES = [
    path
    for of in (APP, SITE)
    for path in sorted(of.rglob("*.py"))
    if not {"management", "migrations"} & {*path.parts}
]
PLACE = re.compile(r"%\(\w+\)s")
TRANSLATING = {"_", "gettext", "gettext_lazy", "gettext_noop"}
# The same in both languages.
SAME = {
    "Port", "Server", "Host", "Status", "ok", "Name", "Export", "Organisation", "%(n)s ms", "%(n)s s", "Admin",
    "Bucket", "Region", "Integrator", "User", "Filter", "export", "user", "status",
    "Webhook", "Organisation: %(org)s", "Code", "%(error)s in %(method)s.", "Windows (CR LF)", "Unix (LF)",
    "Windows-1252", "UTF-8", "ISO-8859-1", "ISO-8859-15", "YYYY-MM-DD", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY",
    "YYYYMMDD", "DDMMYYYY",
}  # fmt: skip


def our_texts() -> list[str]:
    """In templates, in code, and in the tables that describe things."""
    texts = [text for path in TEMPLATES for text in _of_template(path.read_text(encoding="utf-8"))]
    texts += [text for path in MODULES for text in _of_code(path.read_text(encoding="utf-8"))]
    for kind in FAULT_KINDS.values():
        texts += [kind.meaning, kind.hint, kind.side]
    texts += REQUESTS.values()
    for field in (field for connector_type in CONNECTORS for field in config_fields(connector_type)):
        texts += [field.label, field.help, field.group, *(label for _, label in field.choices)]
    steps = [*SftpTransport.opening, *FilesystemTransport.opening]
    steps += OUR_STEPS
    texts += [label for _, label in steps]
    texts += SERVER_CAPABILITIES.values()
    texts += [worded.text for worded in EVENT_TEXTS.values()]
    texts += [text for reason in REASONS.values() for text in (reason.meaning, reason.hint)]
    for template in messages.TEMPLATES.values():
        parts = [*template.before.values(), *template.optional.values()]
        parts += [template.text] if not template.plural else []
        texts += [part for part in parts if re.search("[A-Za-z]{2}", PLACE.sub("", part))]
    texts += [deadlines.MEANING, deadlines.HINT, deadlines.HINT_ON_PAGE]
    return [text for text in dict.fromkeys(texts) if text]


def _of_template(source: str) -> list[str]:
    blocks = re.findall(r"{% blocktranslate [^%]*%}(.*?){% endblocktranslate %}", source, re.DOTALL)
    singular = [block for block in blocks if "{% plural %}" not in block]
    return re.findall(r'{% translate "([^"]+)"', source) + [
        re.sub(r"{{ (\w+) }}", r"%(\1)s", part) for part in singular
    ]


def _of_code(source: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        first.value
        for call in calls
        for first in call.args[:1]
        if isinstance(call.func, ast.Name) and call.func.id in TRANSLATING
        if isinstance(first, ast.Constant) and isinstance(first.value, str)
    ]


def test_a_number_is_said_in_german():
    with override("de"):
        said = [
            ngettext("%(n)s order waits until you decide.", "%(n)s orders wait until you decide.", n)
            for n in (1, 2)
        ]
    assert said == [
        "%(n)s Auftrag wartet, bis Sie entscheiden.",
        "%(n)s Aufträge warten, bis Sie entscheiden.",
    ]


def test_every_text_has_a_german_one_with_the_same_placeholders():
    with override("de"):
        german = {text: translate(text) for text in our_texts()}

    assert len(german) > 500
    assert [text for text, said in german.items() if said == text and text not in SAME] == []
    assert [text for text, said in german.items() if _placeholders(said) != _placeholders(text)] == []


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)s|{\w+}", text))


def test_every_title_of_the_overview_has_a_german_one_for_one_and_for_many():
    titles = {(kind, n): RULES[kind].title for kind in NeedKind for n in (1, 2)}
    with override("de"):
        german = {key: title(key[1]) for key, title in titles.items()}
    with override("en"):
        english = {key: title(key[1]) for key, title in titles.items()}

    assert [key for key in titles if german[key] == english[key]] == []


@pytest.mark.parametrize("catalogue_of", [APP, APP.parent / "orderflow"], ids=lambda path: path.name)
def test_the_compiled_catalogue_is_that_of_its_source(catalogue_of):
    """After a change: msgfmt -o django.mo django.po, in the folder of both."""
    stem = catalogue_of / CATALOGUE
    with stem.with_suffix(".mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    source = stem.with_suffix(".po").read_text(encoding="utf-8")
    entries = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', source, re.MULTILINE)
    assert entries
    stale = [text for text, german in entries if catalogue.gettext(_plain(text)) != _plain(german)]
    assert stale == []


def _plain(escaped: str) -> str:
    return escaped.replace('\\"', '"').replace("\\n", "\n")
