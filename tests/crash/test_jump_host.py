"""Workers killed and frozen while they deliver through a jump host: its session adds no way to publish twice."""

import pytest

from tests.crash.cells import require_frozen_harmless, require_killed_harmless
from tests.crash.conftest import MakePair
from tests.crash.dropzones import JUMP_HOST

KILLED = ("stage-half-sent", "staged-committed", "publish-itself-half-sent", "published-before-commit")
FROZEN = ("stage-half-sent", "publish-itself-half-sent")


@pytest.mark.parametrize(("kind", "point"), [(JUMP_HOST, point) for point in KILLED])
def test_a_worker_killed_behind_a_jump_host_publishes_once(
    make_pair: MakePair, kind: str, point: str
) -> None:
    require_killed_harmless(make_pair(kind), point)


@pytest.mark.parametrize(("kind", "point"), [(JUMP_HOST, point) for point in FROZEN])
def test_a_worker_frozen_behind_a_jump_host_changes_nothing_when_it_wakes_up(
    make_pair: MakePair, kind: str, point: str
) -> None:
    require_frozen_harmless(make_pair(kind), point)
