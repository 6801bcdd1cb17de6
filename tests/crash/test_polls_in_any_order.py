"""Answers that arrive bit by bit while poll after poll is SIGKILLed: the state that they end in all at once."""

from pathlib import Path
from random import Random

import pytest

from erp_connectors.models import ERPConnection
from tests.crash.conftest import MakeCell
from tests.services.answering import NAMES, POINTS, TIMES, Exchange, File, accepted, exchange, refused

ROUNDS = 6


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_polls_end_in_the_state_of_one_that_was_not(
    make_cell: MakeCell, tmp_path: Path, settings: object, seed: int
) -> None:
    random = Random(seed)
    files = _files(random)
    settings.DROPZONE_ROOTS = [str(tmp_path)]  # type: ignore[attr-defined]
    at_once = exchange(tmp_path, ("sent", "sent"))
    for file in files:
        at_once.arrive(file)
    at_once.settle()
    cell = make_cell("filesystem", takes=True)
    exports = cell.push(2)
    cell.finished()
    killed = Exchange(
        ERPConnection.objects.get(pk=cell.connection.pk), cell.inbox, cell.folder / "ack", exports
    )

    random.shuffle(files)
    kills = 0
    for file in files:
        killed.arrive(file)
        kills += (
            cell.poll(plan={random.choice((*POINTS, "before-commit", "after-read")): "SIGKILL"}).how
            == "killed"
        )
    for _ in range(3):
        cell.poll()

    assert kills > 0
    assert killed.state() == at_once.state()
    killed.require_every_file_once(files)


def _files(random: Random) -> list[File]:
    made = {}
    for _ in range(6):
        yes = random.random() < 0.6
        prefix = random.choice(("ack", "ACK") if yes else ("error", "Error"))
        name, export, at = f"{prefix}_{random.choice(NAMES)}", random.randrange(2), random.choice(TIMES)
        body = accepted(random.choice("ABC"), at) if yes else refused(random.choice("xy"), at)
        made[name.lower(), export] = File(name, export, body)
    return list(made.values())
