"""Which items run in which tier, on which database: the rule that `make test` and `make test-deep` follow.

Everyday: what a developer runs before each commit. Deep: the rest. Each pair of item and database is in exactly one
tier, or says nothing new on that database and is in none.

- An item marked `deep` is in the deep tier on every database.
- SQLite runs every item, except those marked `postgres_only`.
- PostgreSQL runs only items that use the test database. Those that commit (`transaction=True`, `transactional_db`,
  `live_server`) or are marked `postgres_only` are where the two databases can differ: everyday. The others are deep,
  or run on SQLite only if they are marked `not_of_database`: what a server on the other side does wrong
  (`tests/faults`). The statements behind it are those of any delivery and poll, which others repeat. Of the cases of
  one parametrised function the first repeats the statements of all, so it alone runs, unless `every_database` says
  that the cases differ in what they write or when.
- Those that kill or freeze workers (fixture `make_cell`) are the exception: on SQLite everyday, on PostgreSQL deep, and
  there only if they are marked `every_database`, one for each point. A developer hits every point of the crash matrix
  before a commit, and CI hits each on both.
- An item marked `deep` runs on PostgreSQL only if it is also marked `every_database` or `postgres_only`: a killed
  worker may behave differently there; a browser or a supervisor does not.
"""

import re
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

Tier = Literal["everyday", "deep"]
TIERS = ("everyday", "deep", "all")
_TESTS = Path(__file__).resolve().parent
_ALL_OF_IT_DEEP = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.deep\b", re.MULTILINE)
_COMMITS = {"transactional_db", "live_server", "django_db_reset_sequences"}
_KILLS = "make_cell"
_MAY_DIFFER = re.compile(rf"\b({'|'.join(sorted(_COMMITS))}|transaction=True|postgres_only)\b")


def tier_of(item: pytest.Item, database: str) -> Tier | None:
    """Return the tier of ``item`` on ``database`` (`sqlite` or `postgres`), None if it does not run there."""
    if database == "postgres":
        return _tier_on_postgres(item)
    if _is(item, "postgres_only"):
        return None
    return "deep" if _is(item, "deep") else "everyday"


def _tier_on_postgres(item: pytest.Item) -> Tier | None:
    if _is(item, "postgres_only"):
        return "deep" if _is(item, "deep") else "everyday"
    if _is(item, "deep"):
        return "deep" if _is(item, "every_database") else None
    if _KILLS in _fixtures(item):
        return "deep" if _is(item, "every_database") else None
    if _commits(item):
        return "everyday"
    if not _uses_database(item) or _is(item, "not_of_database"):
        return None
    return "deep" if _is_first_case(item) or _is(item, "every_database") else None


def is_deep_throughout(path: Path) -> bool:
    """Return True if the module marks all its items; the everyday tier need not import it, nor what it imports."""
    return path.name.startswith("test_") and bool(_ALL_OF_IT_DEEP.search(path.read_text(encoding="utf-8")))


def is_everyday_throughout(path: Path) -> bool:
    """Return True if neither the module nor a conftest.py of its folders mentions the mark; SQLite's deep tier need not
    import it.
    """
    conftests = (folder / "conftest.py" for folder in path.parents if _TESTS in folder.parents)
    sources = [path, *(conftest for conftest in conftests if conftest.exists())]
    return path.name.startswith("test_") and not any(
        "mark.deep" in source.read_text(encoding="utf-8") for source in sources
    )


def may_differ_on_postgres(path: Path) -> bool:
    """Return False if nothing in the module, or in a `conftest.py` above it, makes an item everyday on PostgreSQL.

    `test_tiers` compares this with the items. A module that takes such a fixture from elsewhere must name it.
    """
    if not path.name.startswith("test_"):
        return True
    folders = [folder for folder in path.parents if folder.is_relative_to(_TESTS)]
    return any(map(_names_a_difference, (path, *(folder / "conftest.py" for folder in folders))))


@cache
def _names_a_difference(path: Path) -> bool:
    return path.is_file() and bool(_MAY_DIFFER.search(path.read_text(encoding="utf-8")))


def is_in(tier: Tier | None, wanted: str) -> bool:
    return tier is not None and wanted in (tier, "all")


def _is(item: pytest.Item, mark: str) -> bool:
    return item.get_closest_marker(mark) is not None


def _is_first_case(item: pytest.Item) -> bool:
    cases = getattr(item, "callspec", None)
    return cases is None or not any(cases.indices.values())


def _uses_database(item: pytest.Item) -> bool:
    # pytest-django's fixtures all begin with the set-up.
    return _is(item, "django_db") or "django_db_setup" in _fixtures(item)


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return (marker is not None and bool(marker.kwargs.get("transaction"))) or bool(_COMMITS & _fixtures(item))


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
