"""Tests that share an expensive part run in one worker."""

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
