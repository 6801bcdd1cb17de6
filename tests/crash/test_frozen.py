"""Workers frozen with SIGSTOP past their lease; another takes over and finishes; then the first wakes up."""

import pytest

from tests.crash.cells import require_frozen_harmless
from tests.crash.conftest import MakePair
from tests.crash.dropzones import KINDS
from tests.crash.steps import IN_THE_MIDDLE, STEPS

# Within a transaction it holds the lock that whoever takes over needs: that is a test of its own.
FREE_TO_TAKE_OVER = [point for point in STEPS if not point.startswith("before-commit")]
CELLS = [(kind, point) for kind in KINDS for point in (*FREE_TO_TAKE_OVER, *IN_THE_MIDDLE[kind])]


@pytest.mark.parametrize(("kind", "point"), CELLS)
def test_a_worker_frozen_anywhere_changes_nothing_when_it_wakes_up(
    make_pair: MakePair, kind: str, point: str
) -> None:
    require_frozen_harmless(make_pair(kind), point)


@pytest.mark.postgres_only  # SQLite has one lock, and no end to who holds it
@pytest.mark.parametrize("point", [point for point in STEPS if point.startswith("before-commit")])
def test_a_worker_frozen_within_a_transaction_holds_its_lock_no_longer_than_its_lease(
    make_pair: MakePair, point: str
) -> None:
    cells = make_pair("filesystem")

    frozen = [cell.frozen(point, lease=1) for cell in cells]
    for cell in cells:
        cell.finished()
    for cell, sleeper in zip(cells, frozen, strict=True):
        cell.workers.wake(sleeper, fails=True)  # its transaction is gone, which it may call an error
        cell.finished()

    for cell in cells:
        cell.require_published_once()


@pytest.mark.parametrize("kind", KINDS)
def test_workers_frozen_one_after_another_all_wake_up_late(make_pair: MakePair, kind: str) -> None:
    cells = make_pair(kind)
    points = ["claimed", *IN_THE_MIDDLE[kind][:2], "staged-before-commit", "staged-committed"]

    frozen = [[cell.frozen(point) for point in points] for cell in cells]
    for cell, sleepers in zip(cells, frozen, strict=True):
        cell.finished()
        for sleeper in sleepers:
            cell.woken(sleeper)

    for cell in cells:
        cell.require_published_once()


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_wakes_up_while_another_is_killed_changes_nothing(
    make_pair: MakePair, kind: str
) -> None:
    cells = make_pair(kind)
    for cell in cells:
        sleeper = cell.frozen(IN_THE_MIDDLE[kind][0])
        cell.killed("published-before-commit")
        cell.woken(sleeper)
        cell.finished()

    for cell in cells:
        cell.require_published_once()


def test_a_worker_that_wakes_up_and_is_killed_while_it_archives_leaves_the_copies_whole(
    make_pair: MakePair,
) -> None:
    cells = make_pair("filesystem")
    for cell in cells:
        sleeper = cell.frozen("before-archiving-3", then={"archived-half-3": "SIGKILL"})
        cell.finished()
        assert cell.workers.wake(sleeper).how == "killed"

    for cell in cells:
        cell.require_published_once()
