"""Tables and pictures for docs/performance.md, from a run's results."""

from collections.abc import Sequence
from html import escape
from math import ceil
from pathlib import Path

from tools.bench.measuring import OURS, Result

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
READS_BEGIN, READS_END = "<!-- reads: begin -->", "<!-- reads: end -->"
PAGES_BEGIN, PAGES_END = "<!-- pages: begin -->", "<!-- pages: end -->"
READS, PAGES = "reads", "pages"
OF_ITS_OWN = {READS: (READS_BEGIN, READS_END), PAGES: (PAGES_BEGIN, PAGES_END)}
WIDTH, ROW, LABEL = 760, 24, 230


def table(result: Result) -> str:
    if result.case in OF_ITS_OWN:
        return latencies(result)
    beside = "ours" if result.baseline == OURS else f"“{result.baseline}”"
    rows = [f"| | seconds | times {beside} |", "|---|---:|---:|"]
    compared = result.baseline in result.seconds
    for name in sorted(result.seconds, key=result.median):
        ratio = "" if name == result.baseline or not compared else f"{result.ratio(name):.1f}"
        shown = f"**{name}**" if name == OURS else name
        rows.append(f"| {shown} | {result.median(name):.4g} | {ratio} |")
    rows += [f"| {name} | did not do it: {_short(why)} | |" for name, why in result.failed.items()]
    return "\n".join([f"### {result.title}", "", *rows, *(f"\n{note}" for note in result.notes), ""])


def latencies(result: Result) -> str:
    rows = ["| | median ms | P95 ms |", "|---|---:|---:|"]
    for name in result.seconds:
        p95 = percentile(result.seconds[name], 95)
        rows.append(f"| `{name}` | {result.median(name) * 1000:.1f} | {p95 * 1000:.1f} |")
    return "\n".join([f"### {result.title}", "", *rows, *(f"\n{note}" for note in result.notes), ""])


def percentile(seconds: Sequence[float], share: int) -> float:
    """The smallest that so many of a hundred don't exceed."""
    return sorted(seconds)[ceil(len(seconds) * share / 100) - 1]


def write(results: Sequence[Result], page: Path) -> None:
    """Put each table between the page's marks: in the place of the one of its title, else after the others."""
    text = page.read_text()
    for case, (begins, ends) in OF_ITS_OWN.items():
        if mine := [one for one in results if one.case == case]:
            text = _between(text, begins, ends, list(map(table, mine)))
    if others := [one for one in results if one.case not in OF_ITS_OWN]:
        begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        tables = {part.partition("\n")[0]: f"### {part}" for part in text[begin:end].split("### ")[1:]}
        tables |= {one.title: table(one) for one in others}
        text = _between(text, BEGIN, END, list(tables.values()))
    page.write_text(text)


def _between(text: str, begin: str, end: str, tables: Sequence[str]) -> str:
    before, after = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    return "\n\n".join([before, *(one.strip() for one in tables), after])


def bars(result: Result, path: Path) -> None:
    """Seconds as bars, ours first; an SVG that reads on light and on dark."""
    names = sorted(result.seconds, key=result.median)
    longest = max(map(result.median, names))
    height = ROW * len(names) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="20" font-weight="bold">{escape(result.title)}</text>',
    ]
    for n, name in enumerate(names):
        y, seconds = 36 + n * ROW, result.median(name)
        width = max(2.0, (WIDTH - LABEL - 90) * seconds / longest)
        color = "#0a7d4f" if name == OURS else "#8a94a6"
        lines += [
            f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{ROW - 6}" fill="{color}"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{y + 14}">{seconds:.2f} s</text>',
        ]
    path.write_text("\n".join([*lines, "</svg>", ""]))


def _short(text: str) -> str:
    return " ".join(text.split())[:100].replace("|", "/")
