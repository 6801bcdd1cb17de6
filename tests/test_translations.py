"""German for every text that the program marks as one, and the compiled catalogue in step with what people edit."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.utils.translation import gettext as translate
from django.utils.translation import ngettext, override

from erp_connectors.admin.overview_rules import RULES
from erp_connectors.connectors.dropzone_json_v1 import description
from erp_connectors.faults import FAULT_KINDS
from erp_connectors.notify.troubles import REASONS
from erp_connectors.services import overdue, probe
from erp_connectors.services.abilities import ABILITIES
from erp_connectors.services.attention import Kind
from erp_connectors.services.bulk_retry import WHY
from erp_connectors.services.push import NO_CONNECTION
from erp_connectors.services.wording import DETAILS, WORDINGS
from erp_connectors.transports.filesystem import FilesystemTransport
from erp_connectors.transports.sftp import SftpTransport

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
TRANSLATING = {"_", "gettext", "gettext_lazy", "gettext_noop"}
# The same in both languages.
SAME = {
    "Port", "Server", "Host", "Status", "ok", "Name", "Export", "Organisation", "%(n)s ms", "%(n)s s", "Admin",
    "Integrator", "Person", "Filter", "export", "person", "status",
    "Webhook", "Organisation: %(org)s", "Code",
}  # fmt: skip


def our_texts() -> list[str]:
    """In templates, in code, and in the tables that describe things."""
    texts = [text for path in TEMPLATES for text in _of_template(path.read_text(encoding="utf-8"))]
    texts += [text for path in MODULES for text in _of_code(path.read_text(encoding="utf-8"))]
    for kind in FAULT_KINDS.values():
        texts += [kind.meaning, kind.hint, kind.ask, kind.side]
    for field in description.FIELDS:
        texts += [field.label, field.help, field.group, *(label for _, label in field.choices)]
    steps = [*SftpTransport.opening, *FilesystemTransport.opening]
    steps += [probe.EXPORT_STEP, probe.ACK_STEP, probe.ABILITIES_STEP]
    texts += [label for _, label in steps]
    texts += ABILITIES.values()
    texts += [worded.text for worded in WORDINGS.values()]
    texts += [text for reason in REASONS.values() for text in (reason.meaning, reason.hint)]
    texts += [*DETAILS, *WHY.values(), overdue.MEANING, overdue.HINT, NO_CONNECTION]
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


@pytest.mark.parametrize("text", our_texts())
def test_it_is_said_in_german(text):
    with override("de"):
        german = translate(text)
    assert german != text or text in SAME
    assert sorted(re.findall(r"%\(\w+\)s|{\w+}", german)) == sorted(re.findall(r"%\(\w+\)s|{\w+}", text))


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("how_many", [1, 2])
def test_what_needs_a_person_is_said_in_german(kind, how_many):
    title = RULES[kind].title
    with override("de"):
        german = title(how_many)
    with override("en"):
        english = title(how_many)
    assert german != english


@pytest.mark.parametrize("catalogue_of", [APP, APP.parent / "orderflow"], ids=lambda path: path.name)
def test_the_compiled_catalogue_is_that_of_its_source(catalogue_of):
    """After a change: msgfmt -o django.mo django.po, in the folder of both."""
    stem = catalogue_of / CATALOGUE
    with stem.with_suffix(".mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    source = stem.with_suffix(".po").read_text(encoding="utf-8")
    entries = re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', source, re.MULTILINE)
    assert entries
    for text, german in entries:
        assert catalogue.gettext(_plain(text)) == _plain(german)


def _plain(escaped: str) -> str:
    return escaped.replace('\\"', '"').replace("\\n", "\n")
