"""Workers killed with SIGKILL at every step, on every kind of dropzone; another one finishes."""

import pytest

from tests.crash.cells import require_killed_harmless
from tests.crash.conftest import MakeCell, MakePair
from tests.crash.dropzones import KINDS
from tests.crash.steps import IN_THE_MIDDLE, STEPS, untested

CELLS = [(kind, point) for kind in KINDS for point in (*STEPS, *IN_THE_MIDDLE[kind])]
# Each is passed by the worker that follows those killed before.
ONE_AFTER_ANOTHER = (
    "after-open", "claimed", "archived-half-2", "before-commit-2", "rendered-committed", "{middle}",
    "staged-before-commit", "before-remove", "after-remove", "before-commit-2", "staged-committed", "{rename}",
    "published-before-commit", "before-commit-2", "before-publish", "after-publish",
)  # fmt: skip


@pytest.mark.parametrize(("kind", "point"), CELLS)
def test_a_worker_killed_anywhere_publishes_once(make_pair: MakePair, kind: str, point: str) -> None:
    require_killed_harmless(make_pair(kind), point)


@pytest.mark.parametrize("kind", KINDS)
def test_workers_killed_one_after_another_publish_once(make_cell: MakeCell, kind: str) -> None:
    cell = make_cell(kind, takes=True)
    cell.push()
    middle, *_, rename = IN_THE_MIDDLE[kind]

    for point in ONE_AFTER_ANOTHER:
        cell.killed(point.format(middle=middle, rename=rename))
    cell.finished()

    cell.require_published_once()


@pytest.mark.parametrize("kind", KINDS[:2])
def test_files_of_another_format_are_published_once(make_cell: MakeCell, kind: str) -> None:
    cell = make_cell(kind, takes=True, connector_type="DROPZONE_CSV_V1")
    cell.push()

    for point in ("{middle}", "staged-committed", "{rename}", "before-publish", "after-publish"):
        cell.killed(point.format(middle=IN_THE_MIDDLE[kind][0], rename=IN_THE_MIDDLE[kind][-1]))
    cell.finished()

    cell.require_published_once()
    assert all(export.filename.endswith(".csv") for export in cell.exports())


@pytest.mark.parametrize("kind", KINDS)
def test_the_matrix_has_every_point_that_a_delivery_passes(make_pair: MakePair, kind: str) -> None:
    for cell in make_pair(kind):
        ended = cell.finished()

        assert untested(kind, ended.passed) == set()
        assert set(STEPS) <= set(ended.passed)
        cell.require_published_once()
