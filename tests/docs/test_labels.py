"""What the pages for people in the admin put in italics is written on a page of the admin, word for word."""

import gettext
import re
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("operators.md", "integrators.md", "notifications.md")
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
# A label may go on over the end of a line.
LABEL = re.compile(r"(?<![*\w])\*(?!\*)([^*]+)(?<!\*)\*(?![*\w])")


def on_the_pages() -> set[str]:
    """Every text of ours and of Django's admin that can be translated."""
    own = [
        path for part in ("erp_connectors", "orderflow") for path in (ROOT / part).rglob("de/**/django.mo")
    ]
    assert own
    texts: set[str] = set()
    for path in (*own, *Path(django.__file__).parent.glob("contrib/admin/locale/de/LC_MESSAGES/*.mo")):
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        texts |= {key[0] if isinstance(key, tuple) else key for key in catalogue}
    # Names of models are written with a capital as titles and in the menu.
    return {text.rpartition("\x04")[2][:1].upper() + text.rpartition("\x04")[2][1:] for text in texts}


@pytest.mark.parametrize("page", PAGES)
def test_labels_that_a_page_quotes_are_in_the_admin(page: str) -> None:
    text = CODE.sub("", (ROOT / "docs" / page).read_text())
    quoted = {" ".join(label.split()) for label in LABEL.findall(text.replace("**", ""))}
    assert quoted
    known = on_the_pages()

    # *Select all* stands for "Select all 188 orders".
    unknown = {label for label in quoted if not any(one.startswith(label) for one in known)}

    assert unknown == set()
