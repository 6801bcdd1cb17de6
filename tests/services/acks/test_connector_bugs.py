"""A connector that fails on one file name stops no other file from being read, and what is known of the file stays."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from erp_connectors import registry
from erp_connectors.connectors.base import AckName, MisnamedAnswer, NoOptions
from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.services.acks.misnamed import misnamed_of
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.states import AckFileStatus, ExportStatus
from tests.services.acks.test_poll import again, sent
from tests.services.acks.test_several_answers import ListConnector
from tests.services.conftest import Site


class BuggyConnector(ListConnector):
    """Raises on names that contain ``strange``, once ``broken``."""

    type = "BUGGY"
    broken = True

    def acknowledges(self, name: str, options: NoOptions) -> AckName | None:
        if self.broken and "strange" in name:
            raise IndexError(name)
        return super().acknowledges(name, options)

    def misnamed_answer(self, name: str, options: NoOptions) -> MisnamedAnswer | None:
        if "odd" in name:
            raise KeyError(name)
        return MisnamedAnswer(None, "….answers") if name.endswith(".answer") else None


@pytest.fixture
def site(make_site: Callable[..., Site], monkeypatch: Any) -> Iterator[Site]:
    monkeypatch.setitem(registry.CONNECTORS, "BUGGY", "buggy_connector.BuggyConnector")
    monkeypatch.setitem(sys.modules, "buggy_connector", sys.modules[__name__])
    registry.connector_for.cache_clear()
    site = make_site()
    ERPConnection.objects.filter(pk=site.connection.pk).update(connector_type="BUGGY")
    site.connection.refresh_from_db()
    yield site
    registry.connector_for.cache_clear()


@pytest.mark.parametrize(
    ("name", "method", "error"),
    [
        ("strange.answers", "acknowledges", "IndexError"),
        ("odd.txt", "misnamed_answer", "KeyError"),
    ],
)
def test_the_other_files_are_read_and_the_file_is_reported(site, name, method, error):
    (export,) = sent(site)
    site.answer(name, b"x")
    site.answer("monday.answers", f"{export.filename};ok;SO-1\n".encode())
    site.answer("tuesday.answer", b"x")

    report = poll(site.connection.pk)

    assert report.accepted == 1
    assert again(export).status == ExportStatus.ACKED
    assert (site.acks / name).exists()
    connection = ERPConnection.objects.get(pk=site.connection.pk)
    assert connection.poll_error["code"] == "INTERNAL_ERROR"
    for part in (name, method, error):
        assert part in report.error
    # The folder was listed, so the next poll comes at the usual interval.
    assert connection.poll_failures_in_row == 0
    assert [file.name for file in misnamed_of(connection).files] == ["tuesday.answer"]


def test_what_is_known_of_the_file_stays(site, monkeypatch):
    monkeypatch.setattr(BuggyConnector, "broken", False)
    site.answer("strange.answers", b"cut off")
    poll(site.connection.pk)
    assert AckFile.objects.get().status == AckFileStatus.WAITING

    monkeypatch.setattr(BuggyConnector, "broken", True)
    poll(site.connection.pk)

    row = AckFile.objects.get()
    assert (row.name, row.status, row.moved_at) == ("strange.answers", AckFileStatus.WAITING, None)


@pytest.mark.parametrize("name", ["strange.answers", "odd.txt"])
def test_reconcile_says_that_it_is_incomplete(site, name):
    site.answer(name, b"x")

    found = reconcile(site.connection.pk)

    assert len(found.errors) == 1
    assert name in found.errors[0]
