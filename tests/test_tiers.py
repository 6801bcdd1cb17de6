"""Nothing falls between the tiers: each runs on both databases, and CI runs all of them."""

import re
from itertools import product
from pathlib import Path

from tests.tiers import TIERS

ROOT = Path(__file__).resolve().parent.parent


def test_make_runs_each_tier_on_each_database() -> None:
    rules = (ROOT / "Makefile").read_text()

    runs = re.findall(r"^\t\$\(PYTEST\) --tier=(\w+) --database=(\w+)", rules, re.MULTILINE)

    assert sorted(runs) == sorted(product([tier for tier in TIERS if tier != "all"], ["sqlite", "postgres"]))


def test_ci_runs_both_tiers_with_nothing_skipped() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert {"make check", "make test", "make test-deep"} <= set(script.splitlines())
    assert "REQUIRE_ALL=1" in script
