"""Words that were replaced by a term of the glossary do not come back."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The word, and the term to use. A word of several meanings is listed as the whole name that was replaced.
REPLACED = {
    r"troubles?": "problem or error",
    r"situations?": "status summary",
    r"prospects?": "preview",
    r"deeds?|act_page|asks_note": "row action",
    r"ailments?": "failure reason",
    r"papers|_paper|AckPaper": "file",
    r"cautions?": "expiry warning",
    r"horizon": "archive watermark",
    r"facts_of": "content_of",
    r"handled_at": "dismissed_at",
    r"mark(ed)? (this )?as handled": "dismiss",
    r"MOST_\w+": "MAX_…",
    r"needs_a_person|what needs a person": "needs attention",
    r"sign of life": "heartbeat",
    r"\w*by_hand": "manual answer",
    r"SETTLED?|[Uu]nsettled|settled": "resolved",
    r"\w*carry_out\w*|CARRY_OUT": "execute",
    r"\w*_?judge[sd]?|judge_day|\w*Judg\w*|judging": "decide, preview or evaluate",
    r"[Aa]bilit(y|ies)|ABILITIES|record_ability": "server capability",
    r"target_of|def offers": "address_of, extensions",
    r"Habits|Weather|Tally|Happening|Judged|Worked|Marked|Played|Doubled|Renewed": "a noun",
}
PLACES = ("orderflow", "erp_connectors", "tools", "docs", "README.md", "CONTRIBUTING.md")
KINDS = {".py", ".html", ".js", ".css", ".md"}


def test_replaced_words_do_not_come_back() -> None:
    word = re.compile(rf"(?<![A-Za-z])({'|'.join(REPLACED)})(?![A-Za-z])")
    files = [
        path
        for place in PLACES
        for path in ([ROOT / place] if "." in place else sorted((ROOT / place).rglob("*")))
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {met.group()}"
        for path in files
        if path.suffix in KINDS and path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for met in word.finditer(line)
    ]

    assert found == []


def test_the_glossary_is_in_order() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    terms = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]

    assert terms == sorted(terms, key=str.lower)
