"""No link in the docs leads nowhere: to a file that is not there, or to a heading that was renamed."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Of each heading, as hosts of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    lost = []
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if link.startswith(("http://", "https://", "mailto:", "/")):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                lost.append(f"{page.relative_to(ROOT)}: {link}")

    assert lost == []


def test_every_page_and_picture_of_the_docs_can_be_found_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        if page.suffix == ".md":
            links = LINK.findall(page.read_text(encoding="utf-8"))
            waiting += [(page.parent / link.split("#")[0]).resolve() for link in links if "://" not in link]

    lost = {page for page in [*PAGES, *ROOT.glob("docs/images/*")] if page not in seen}
    assert {str(page.relative_to(ROOT)) for page in lost} == set()


def test_the_page_for_erp_programmers_links_each_reader() -> None:
    linked = set(LINK.findall((ROOT / "docs" / "erp.md").read_text(encoding="utf-8")))

    assert {f"readers/{path.name}" for path in (ROOT / "docs" / "readers").iterdir()} <= linked
