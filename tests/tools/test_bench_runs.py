"""Every case and program of the benchmark runs with few rows, beside real programs, in a path with a space."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import require_program
from tests.servers import templates
from tools.bench.__main__ import CASES
from tools.bench.measuring import load

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    # With the templates it copies migrated databases, as other tests do.
    names = ("PATH", "HOME", "LANG", "TMPDIR", templates.FOLDER)
    kept = {name: os.environ[name] for name in names if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT, env=kept, capture_output=True, text=True, timeout=1700, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def test_every_case_runs_with_few_rows_and_its_results_make_the_same_tables_again() -> None:
    require_program("sshd")
    said = run("tools.bench", "--quick", "--files", "2", "--exports", "300")

    (path,) = [Path(line) for line in said.splitlines() if line.endswith(".json")]
    results = load(path)
    again = run("tools.bench", "--show", str(path))
    path.unlink()
    assert [name for name in CASES if not any(f"{one.case}-".startswith(f"{name}-") for one in results)] == []
    assert {one.title: one.failed for one in results if one.failed} == {}
    assert all(one.seconds for one in results)
    assert said.endswith(again)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_scrape_is_measured(database: str) -> None:
    assert "median" in run(
        "tools.bench.scrapes", "--database", database, "--exports", "300", "--connections", "5"
    )


def test_the_cost_of_row_level_security_is_measured() -> None:
    assert "median of" in run("tools.bench.wall", "--exports", "300", "--times", "1")


def test_two_commits_are_compared() -> None:
    require_program("sshd")
    said = run(
        "tools.bench.against", "HEAD", "--rounds", "1", "--case", "upload", "--files", "2", "--round-trip", "0",
        "--peer", "none",
    )  # fmt: skip

    assert re.search(r"\| 2 files of 20 KB, 0 ms round trip \| [\d.]+ \| [\d.]+ \| [\d.]+ \|", said)
