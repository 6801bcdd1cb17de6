"""The table of faults in the docs is the table in the code."""

from pathlib import Path

from erp_connectors.fault_records import doc_url
from erp_connectors.fault_requests import REQUESTS
from erp_connectors.faults import FAULT_KINDS, Scope, Side

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"
HEADING = {
    Scope.TRANSIENT: "Temporary",
    Scope.CONNECTION: "The connection needs attention",
    Scope.ORDER: "This order needs attention",
    Scope.FILE: "About one file",
}


def tables() -> str:
    """What the page must hold, ready to be pasted into it."""
    parts = []
    for scope, heading in HEADING.items():
        rows = [
            f'| <a id="{kind.code}"></a>`{kind.code}` | {kind.meaning} | {kind.side} | {kind.hint} |'
            for kind in FAULT_KINDS.values()
            if kind.scope is scope
        ]
        parts.append(
            "\n".join(
                [
                    f"## {heading}\n",
                    "| code | what happened | who can fix it | what to do |",
                    "|---|---|---|---|",
                    *rows,
                ]
            )
        )
    return "\n\n".join(parts)


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("## ", "| <a"))]


def test_the_page_lists_every_fault_as_people_read_it():
    assert rows(PAGE.read_text(encoding="utf-8")) == rows(tables())


def test_every_code_links_to_its_row_of_the_page(settings):
    settings.DOCS_URL = "https://docs.example.com/orderflow"
    page = PAGE.read_text(encoding="utf-8")
    links = {code: doc_url(code) or "" for code in FAULT_KINDS}

    assert {link.partition("#")[0] for link in links.values()} == {
        "https://docs.example.com/orderflow/faults.md"
    }
    assert [
        code for code, link in links.items() if f'<a id="{link.partition("#")[2]}"></a>' not in page
    ] == []
    assert doc_url("NO_SUCH_CODE") is None


def test_without_the_address_of_the_docs_there_is_no_link(settings):
    settings.DOCS_URL = ""

    assert doc_url("DISK_FULL") is None


def test_every_fault_is_a_code_a_sentence_and_an_advice():
    for code, kind in FAULT_KINDS.items():
        assert code == kind.code == code.upper()
        assert kind.meaning.endswith(".")
        assert kind.hint.endswith(".")


def test_whatever_the_erps_side_can_fix_can_be_asked_of_them():
    for kind in FAULT_KINDS.values():
        assert REQUESTS.get(kind.code, "").endswith(".") or kind.side is not Side.ERP, kind.code
    assert REQUESTS.keys() <= FAULT_KINDS.keys()
