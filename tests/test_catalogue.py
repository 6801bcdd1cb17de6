"""Each text is in the German catalogue in the form, singular or plural, in which the program looks it up.

Python 3.12 also finds a plural entry by a lookup in the singular; Python 3.11.2 then shows English.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderflow.messages import TEMPLATES

ROOT = Path(__file__).resolve().parents[1]
APPS = [ROOT / name for name in ("erp_connectors", "orderflow")]
SINGULAR = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURAL = {"ngettext", "ngettext_lazy", "_counted"}
Lookups = frozenset[tuple[str, ...]]
BLOCK = re.compile(r"{% blocktranslate [^%]*%}(.*?){% endblocktranslate %}", re.DOTALL)


def test_no_text_is_looked_up_in_the_singular_that_the_catalogue_has_as_a_plural(lookups: Lookups) -> None:
    plural = {text for text, plural in entries() if plural is not None}
    singular = {text for text, plural in entries() if plural is None}

    assert sorted({forms[0] for forms in lookups if len(forms) == 1} & plural - singular) == []


def test_the_catalogue_has_each_plural_that_is_looked_up(lookups: Lookups) -> None:
    counted = {forms for forms in lookups if len(forms) == 2}
    counted |= {(one.text, one.plural) for one in TEMPLATES.values() if one.plural}

    assert len(counted) > 20
    assert sorted(counted - set(entries())) == []


def entries() -> Iterator[tuple[str, str | None]]:
    """Yield each entry's text and its plural."""
    for app in APPS:
        source = (app / "locale" / "de" / "LC_MESSAGES" / "django.po").read_text(encoding="utf-8")
        for block in re.split(r"\n\s*\n", source):
            found = dict(re.findall(r'^(msgid|msgid_plural) ((?:".*"\s*)+)', block, re.MULTILINE))
            if "msgid" in found:
                plural = found.get("msgid_plural")
                yield _unquoted(found["msgid"]), None if plural is None else _unquoted(plural)


@pytest.fixture(scope="module")
def lookups() -> Lookups:
    """Return each text of the sources, together with its plural if the code gives one."""
    found: set[tuple[str, ...]] = set()
    for app in APPS:
        for path in app.rglob("*.py"):
            found.update(_of_code(path.read_text(encoding="utf-8")))
        for path in app.rglob("*.html"):
            found.update(_of_template(path.read_text(encoding="utf-8")))
    return frozenset(found)


def _of_code(source: str) -> Iterator[tuple[str, ...]]:
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            forms = 1 if call.func.id in SINGULAR else 2 if call.func.id in PLURAL else 0
            texts = [arg.value for arg in call.args[:forms] if isinstance(arg, ast.Constant)]
            if texts:
                yield tuple(map(str, texts))


def _of_template(source: str) -> Iterator[tuple[str, ...]]:
    for text in re.findall(r'{% translate "([^"]+)"', source):
        yield (text,)
    for block in BLOCK.findall(source):
        yield tuple(re.sub(r"{{ (\w+) }}", r"%(\1)s", form) for form in block.split("{% plural %}"))


def _unquoted(lines: str) -> str:
    return "".join(ast.literal_eval(line) for line in lines.splitlines())
