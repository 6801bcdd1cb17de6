"""The tests' own ground: what `tests/plugin.py` promises to every other test."""

import os
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.parts import skip_or_fail


@pytest.mark.django_db
def test_the_chosen_database_is_the_one_in_use(pytestconfig: pytest.Config) -> None:
    vendors = {"sqlite": "sqlite", "postgres": "postgresql"}
    assert connection.vendor == vendors[pytestconfig.getoption("database")]


@pytest.mark.django_db
def test_sqlite_runs_on_a_file_in_wal_mode(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("database") != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)


def test_everything_a_run_writes_stays_in_the_checkout(tmp_path: Path) -> None:
    checkout = Path(__file__).resolve().parent.parent
    for folder in (tmp_path, Path(os.environ["TMPDIR"]), Path(settings.VAR)):
        assert folder.is_relative_to(checkout / "var")


def test_a_missing_part_skips_but_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install thing"):
        skip_or_fail("thing", "apt install thing")
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="apt install thing"):
        skip_or_fail("thing", "apt install thing")
