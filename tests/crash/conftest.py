import os
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests import factories
from tests.crash.cells import NOTES, SHORT_NOTES, Cell
from tests.crash.dropzones import Dropzones
from tests.crash.erp import Erp
from tests.crash.workers import Workers, workers

HERE = f"{Path(__file__).parent}{os.sep}"
# They differ from other dropzones in what they answer, not in a worker's statements: SQLite is enough.
BUCKETS = "test_buckets.py"
MakeCell = Callable[..., Cell]
MakePair = Callable[[str], list[Cell]]


@pytest.hookimpl(tryfirst=True)  # before `tests.plugin` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the file system's cells in the everyday tier, where they pass every crash point; SSH servers are deep."""
    ours = [item for item in items if str(item.path).startswith(HERE)]
    names = {item.nodeid for item in ours}
    for item in ours:
        if not repeats_another(item.nodeid, names) and item.path.name != BUCKETS:
            item.add_marker(pytest.mark.every_database)
        call = getattr(item, "callspec", None)
        if call and call.params.get("kind", "filesystem") != "filesystem":
            item.add_marker(pytest.mark.deep)


def repeats_another(name: str, names: Container[str]) -> bool:
    """Return True for a cell over AsyncSSH whose point has a cell over OpenSSH, for one over the file system whose
    point has a cell over either, and for each behind a jump host.

    Such a cell runs on SQLite only: the dropzones differ in what they answer, not in the statements of a worker that
    is stopped there.
    """
    if "[jump-host" in name:
        return True
    if "[filesystem-" in name:
        return any(name.replace("[filesystem-", f"[{kind}-") in names for kind in ("openssh", "asyncssh"))
    return "[asyncssh" in name and name.replace("[asyncssh", "[openssh") in names


@pytest.fixture(scope="session")
def _workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    with workers(tmp_path_factory.mktemp("workers")) as started:
        yield started


@pytest.fixture(scope="session")
def dropzones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dropzones]:
    with ExitStack() as stack:
        yield Dropzones(tmp_path_factory.mktemp("dropzones"), stack)


@pytest.fixture
def make_cell(
    transactional_db: None,
    _workers: Workers,
    dropzones: Dropzones,
    settings: Any,
    record_property: Callable[[str, object], None],
) -> Iterator[MakeCell]:
    settings.DROPZONE_ROOTS = [str(dropzones.root)]
    _workers.settings = {"DROPZONE_ROOTS": [str(dropzones.root)]}
    with ExitStack() as stack:
        # The first delivery of a day looks for leftovers, which is one more step.
        yesterday = timezone.now() - timedelta(days=1)

        def make(kind: str, *, takes: bool, connector_type: str = "DROPZONE_JSON_V1", **config: Any) -> Cell:
            folder, values = dropzones.make(kind)
            org = factories.org()
            erp = Erp(folder / "in", takes=takes)
            stack.callback(erp.close)
            row = factories.connection(
                org, {**values, **config}, connector_type=connector_type, last_success_at=yesterday
            )
            notes = SHORT_NOTES if kind == "filesystem" else NOTES
            return Cell(org, row, folder, erp, _workers, record_property, notes)

        yield make


@pytest.fixture
def make_pair(make_cell: MakeCell) -> MakePair:
    """Two cells with orders to deliver: an ERP that leaves files, and one that takes each at once."""

    def make(kind: str) -> list[Cell]:
        cells = [make_cell(kind, takes=takes) for takes in (False, True)]
        for cell in cells:
            cell.push()
        return cells

    return make
