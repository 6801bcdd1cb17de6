"""The benchmark's arithmetic and its tables."""

import subprocess
import sys
from pathlib import Path

from tools.bench import against, answers, measuring, report
from tools.bench.measuring import OURS, DidNotDoIt, Result, take_turns

ROOT = Path(__file__).resolve().parents[2]


def test_everybody_takes_a_turn_in_each_round_and_the_median_counts():
    turns = []

    def contender(name, *seconds):
        left = list(seconds)

        def run():
            turns.append(name)
            return left.pop(0)

        return run

    result = take_turns(
        "x", "X", {OURS: contender(OURS, 1, 9, 2), "other": contender("other", 8, 1, 6)}, rounds=3
    )

    assert turns == [OURS, "other"] * 3
    assert (result.median(OURS), result.ratio("other")) == (2, 3)


def test_who_did_not_do_it_is_named_and_not_tried_again():
    tries = []

    def fails():
        tries.append(1)
        raise DidNotDoIt("3 of 5 files are missing or short")

    def hangs():
        raise subprocess.TimeoutExpired(["sftp", "-i", "/home/me/secret"], 600)

    result = take_turns("x", "X", {OURS: lambda: 1.0, "bad": fails, "slow": hangs}, rounds=2)

    assert len(tries) == 1
    table = report.table(result)
    assert "| bad | did not do it: 3 of 5 files are missing or short | |" in table
    assert "| slow | did not do it: > 600 s | |" in table
    assert "/home" not in table


def test_a_page_gets_its_tables_between_the_marks_and_keeps_its_prose(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\n{report.END}\nafter\n")
    report.write([Result("x", "One", {OURS: [0.5]}), Result("y", "Two", {OURS: [0.25]})], page)

    report.write([Result("x", "One", {OURS: [8.0]}), Result("z", "Three", {OURS: [1.0]})], page)

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        "### One",
        "### Two",
        "### Three",
    ]
    assert [seconds in text for seconds in ("| 0.5 |", "| 8 |", "| 0.25 |")] == [False, True, True]


def test_results_survive_their_file(tmp_path):
    result = Result("upload-200-50", "X", {OURS: [1.0, 2.0]}, {"bad": "why"}, ["note"], baseline="")

    assert measuring.load(measuring.save([result], tmp_path)) == [result]


def test_the_documented_page_has_the_marks():
    text = (ROOT / "docs" / "performance.md").read_text()

    assert text.index(report.BEGIN) < text.index(report.END)
    for begin, end in report.OF_ITS_OWN.values():
        assert text.index(begin) < text.index(end)


def test_each_kind_of_table_has_a_place_of_its_own(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("\n".join(mark for marks in report.OF_ITS_OWN.values() for mark in marks))

    report.write([Result("pages", "Pages", {"overview": [0.25]}, baseline="")], page)

    begin, end = report.OF_ITS_OWN["pages"]
    text = page.read_text()
    assert "| `overview` | 250.0 | 250.0 |" in text[text.index(begin) : text.index(end)]
    assert "overview" not in text[: text.index(begin)]


def test_the_bench_of_another_commit_writes_the_same_answers(tmp_path):
    bench = tmp_path / "tools" / "bench"
    bench.mkdir(parents=True)
    (bench / "ours.py").write_text("def write_acks(folder, names):\n    raise AssertionError\n")

    against.same_answers(tmp_path)
    code = "from pathlib import Path; from tools.bench import ours; ours.write_acks(Path(), ['one.json'])"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)

    (tmp_path / "here").mkdir()
    answers.write_acks(tmp_path / "here", ["one.json"])
    written, expected = ((folder / "ack_one.json").read_text() for folder in (tmp_path, tmp_path / "here"))
    assert written == expected
