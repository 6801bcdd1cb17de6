"""Tests that share an expensive part run in one worker; long and short tests run side by side."""

from collections import OrderedDict

import pytest

pytest.importorskip("xdist")

from tests.scheduling import ByExpensiveParts


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/admin/test_a_in_browser.py::test_x", "browser"),
        ("tests/docs/test_api_page.py::test_x", "tests/docs/test_api_page.py"),  # one site for the module
        (
            "tests/tenants/test_jobs.py::test_x[a]",
            "tests/tenants/test_jobs.py",
        ),  # its conftest.py makes rows for it
        ("tests/tenancy/test_command.py::test_x", "tests/tenancy/test_command.py::test_x"),
        ("tests/services/test_archive.py::test_x[s3]", "object store"),
        ("tests/api/test_lists.py::test_x[a]", "tests/api/test_lists.py::test_x[a]"),
    ],
)
def test_each_test_has_the_scope_of_its_expensive_part(nodeid: str, scope: str) -> None:
    assert ByExpensiveParts._split_scope(None, nodeid) == scope  # type: ignore[arg-type]


class Worker:
    def __init__(self) -> None:
        self.received: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.received += indices


def test_the_last_worker_begins_with_the_last_tests() -> None:
    names = [f"tests/test_a.py::test_{number}" for number in range(6)]
    first, second, last = workers = [Worker() for _ in range(3)]
    scheduler = ByExpensiveParts.__new__(ByExpensiveParts)
    scheduler.workqueue = OrderedDict((name, {name: False}) for name in names)
    scheduler.assigned_work = {worker: {} for worker in workers}
    scheduler.registered_collections = dict.fromkeys(workers, names)

    for worker in (*workers, *workers):
        scheduler._assign_work_unit(worker)

    assert [worker.received for worker in (first, second, last)] == [[0, 2], [1, 3], [5, 4]]
