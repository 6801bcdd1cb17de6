"""Nothing falls between the tiers: each runs on both databases, and CI runs all of them."""

import re
from itertools import product
from pathlib import Path

import pytest

from tests.plugin import COLLECTED
from tests.tiers import (
    TIERS,
    is_deep_throughout,
    is_everyday_throughout,
    may_differ_on_postgres,
    tier_of,
)

ROOT = Path(__file__).resolve().parent.parent


def test_make_runs_each_tier_on_each_database() -> None:
    rules = (ROOT / "Makefile").read_text()

    runs = re.findall(r"^\t\$\(PYTEST\) --tier=(\w+) --database=(\w+)", rules, re.MULTILINE)

    assert sorted(runs) == sorted(product([tier for tier in TIERS if tier != "all"], ["sqlite", "postgres"]))


def test_each_crash_point_is_hit_over_ssh_on_each_database_that_can_hit_it(
    pytestconfig: pytest.Config,
) -> None:
    """One SSH server is enough on PostgreSQL; which one differs."""
    hit: dict[str, set[str]] = {"sqlite": set(), "postgres": set()}
    for item in pytestconfig.stash[COLLECTED]:
        if re.search(r"^tests/crash/.*\[(asyncssh|openssh)", item.nodeid):
            for database, points in hit.items():
                if tier_of(item, database):
                    points.add(re.sub(r"\[(asyncssh|openssh)", "[ssh", item.nodeid))

    assert hit["postgres"] == hit["sqlite"]


def test_ci_runs_both_tiers_with_nothing_skipped() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert {"make check", "make test", "make test-deep"} <= set(script.splitlines())
    assert "REQUIRE_ALL=1" in script


def test_a_module_is_left_out_of_the_everyday_tier_only_if_all_of_it_is_deep(tmp_path: Path) -> None:
    deep = (
        "pytestmark = pytest.mark.deep\n",
        "pytestmark = [pytest.mark.deep, x]\n",
        "pytestmark = [\n    pytest.mark.deep,\n]\n",
    )
    partly = (
        "@pytest.mark.deep\ndef test_x(): ...\n",
        "audits = pytest.mark.deep\n",
        "pytestmark = pytest.mark.django_db\n",
    )
    module = tmp_path / "test_x.py"

    for texts, expected in ((deep, True), (partly, False)):
        for text in texts:
            module.write_text(text)
            assert is_deep_throughout(module) is expected, text


def test_a_module_is_left_out_of_the_deep_tier_only_if_nothing_marks_an_item_of_it() -> None:
    tests = ROOT / "tests"

    assert is_everyday_throughout(tests / "test_clock.py")
    # By itself, by its folder, and for one kind of transport.
    for module in ("tools/test_demo.py", "crash/test_killed.py", "conformance/test_transports.py"):
        assert not is_everyday_throughout(tests / module)


def test_no_module_is_left_out_on_postgresql_that_has_an_everyday_item_there(
    pytestconfig: pytest.Config,
) -> None:
    left_out = [
        item.nodeid
        for item in pytestconfig.stash[COLLECTED]
        if tier_of(item, "postgres") == "everyday" and not may_differ_on_postgres(item.path)
    ]

    assert left_out == []


def test_a_module_may_differ_on_postgresql_if_it_or_a_conftest_above_it_names_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.tiers._TESTS", tmp_path)
    texts = {
        "a/conftest.py": "@pytest.fixture\ndef app(transactional_db): ...\n",
        "a/test_x.py": "def test_x(app): ...\n",
        "b/test_x.py": "@pytest.mark.django_db(transaction=True)\ndef test_x(): ...\n",
        "b/test_y.py": "@pytest.mark.django_db\ndef test_y(): ...\n",
        "b/test_z.py": "pytestmark = pytest.mark.postgres_only\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    may_differ = {name for name in texts if may_differ_on_postgres(tmp_path / name)}

    assert may_differ == {"a/conftest.py", "a/test_x.py", "b/test_x.py", "b/test_z.py"}
