"""Workers killed and frozen while they deliver to a bucket; another one finishes.

With versions and the checks of Amazon's servers each order appears once, also if the ERP takes each file at once.
Without versions none is lost and none appears twice: an outcome that nothing proves is unknown, for a user to decide.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import cast

import pytest
from django.utils import timezone

from erp_connectors.states import ExportStatus, FailedAs
from tests import factories
from tests.crash.bucket import NO_FOLDER, BucketCell, BucketErp
from tests.crash.cells import SHORT_NOTES, require_frozen_harmless, require_killed_harmless
from tests.crash.erp import Erp
from tests.crash.workers import Workers
from tests.servers.bucket_path import BucketPath, client_of
from tests.servers.moto_s3 import later, moto_server
from tests.servers.s3 import S3Server

pytestmark = pytest.mark.deep

# Where a bucket differs from a folder; the other steps are those of every dropzone.
KILLED = (
    "staged-before-commit", "staged-committed", "publish-half-sent", "publish-answered", "published-before-commit",
)  # fmt: skip
FROZEN = ("staged-committed", "publish-signed", "publish-half-sent", "publish-answered")
# Without versions: how many outcomes are unknown if the ERP leaves the file, and if it takes it.
UNKNOWN = {"staged-committed": [0, 0], "publish-signed": [1, 1], "publish-answered": [0, 1]}
MakeCells = Callable[..., list[BucketCell]]


@pytest.fixture(scope="module")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto_server(tmp_path_factory.mktemp("versioned"), versions=True, expiry=True) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto_server(tmp_path_factory.mktemp("plain"), versions=False, expiry=True) as server:
        yield server


@pytest.fixture
def make_cells(
    transactional_db: None, _workers: Workers, record_property: Callable[[str, object], None]
) -> Iterator[MakeCells]:
    """Make a cell with pushed orders for an ERP that leaves files, and one for an ERP that takes each.

    A worker that stops in the middle of publishing has one order. Requests of others, which the server has received
    by then, would be carried out at any later time: in production before the lease is over, here not.
    """
    _workers.settings = {"SFTP_ALLOW_LOOPBACK": True}
    yesterday = timezone.now() - timedelta(days=1)
    with ExitStack() as stack:

        def make(server: S3Server, point: str, *, versions: bool = True) -> list[BucketCell]:
            made = []
            for takes in (False, True):
                org = factories.org()
                inbox = BucketPath(client_of(server), server.bucket, f"{org.slug}/in")
                erp = BucketErp(inbox, takes=takes, versions=versions)
                stack.callback(erp.close)
                config = server.config(export_path=f"/{org.slug}/in", ack_path=f"/{org.slug}/ack")
                row = factories.connection(org, config, last_success_at=yesterday)
                seen_by = cast("Erp", erp)
                made.append(BucketCell(org, row, NO_FOLDER, seen_by, _workers, record_property, SHORT_NOTES))
                made[-1].push(1 if point.startswith("publish-") else None)
            return made

        yield make


@pytest.mark.parametrize("point", KILLED)
def test_a_worker_killed_anywhere_publishes_once(
    make_cells: MakeCells, versioned: S3Server, point: str
) -> None:
    require_killed_harmless(make_cells(versioned, point), point)


@pytest.mark.parametrize("point", FROZEN)
def test_a_worker_frozen_past_its_lease_publishes_nothing_when_it_wakes_up(
    make_cells: MakeCells, versioned: S3Server, point: str
) -> None:
    # The lease is over, and the server's clock says so.
    require_frozen_harmless(make_cells(versioned, point), point, awake=later(versioned))


@pytest.mark.parametrize("point", UNKNOWN)
def test_without_versions_no_order_is_lost_and_none_appears_twice(
    make_cells: MakeCells, plain: S3Server, point: str
) -> None:
    cells = make_cells(plain, point, versions=False)

    for cell in cells:
        cell.killed(point)
        cell.finished()

    assert [_require_once_or_unknown(cell) for cell in cells] == UNKNOWN[point]


def _require_once_or_unknown(cell: BucketCell) -> int:
    """Return how many outcomes are unknown; all other orders were published once, and are SENT."""
    cell.erp.settle()
    unknown = 0
    for export in cell.exports():
        appeared = export.filename in cell.erp.seen.contents
        assert cell.erp.seen.appeared[export.filename] <= 1
        if export.status == ExportStatus.FAILED:
            assert (export.failed_as, export.error_json["code"]) == (FailedAs.UNKNOWN, "OUTCOME_UNKNOWN")
            unknown += 1
        else:
            assert (export.status, appeared) == (ExportStatus.SENT, True)
    return unknown
