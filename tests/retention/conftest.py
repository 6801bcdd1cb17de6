"""Orders that were done long ago, and what is left of them after a run."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.retention import runs
from erp_connectors.retention.runs import PruneResult
from erp_connectors.services.acks.poll import poll
from orderflow.orders.models import DraftOrder
from tests.services.acks.test_poll import ACKED, sent
from tests.services.conftest import Site, at_crashpoint, make_site, site

__all__ = ["at_crashpoint", "make_site", "site"]

DAYS = 100


def age(days: int = DAYS + 1) -> None:
    """Make everything that there is so many days older."""
    by = timedelta(days=days)
    moments: Sequence[tuple[type[Any], Sequence[str]]] = (
        (DraftOrder, ("created_at", "updated_at", "approved_at")),
        (ERPExport, ("created_at", "updated_at", "approved_at", "archived_at", "sent_at", "answered_at")),
        (ERPExportEvent, ("at",)),
        (AckFile, ("first_seen_at", "decided_at", "moved_at", "dismissed_at")),
    )
    for model, names in moments:
        for name in names:
            for row in model.objects.exclude(**{name: None}):
                model.objects.filter(pk=row.pk).update(**{name: getattr(row, name) - by})


def prune(older_than: int | None = DAYS, **options: Any) -> PruneResult:
    return runs.work(runs.begin(org=None, older_than=older_than).pk, **options)


def accepted(site: Site, how_many: int = 1, *, body: bytes = ACKED) -> list[ERPExport]:
    exports = sent(site, how_many)
    for export in exports:
        site.answer(f"ack_{export.filename}", body)
    poll(site.connection.pk)
    return [ERPExport.objects.get(pk=export.pk) for export in exports]


def copies(exports: Sequence[ERPExport]) -> list[bool]:
    return [storages["exports"].exists(export.export_storage_key) for export in exports]


@pytest.fixture(autouse=True)
def _archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        for name in ("base_location", "location"):
            storages["exports"].__dict__.pop(name, None)

    monkeypatch.setattr(storages["exports"], "_location", str(tmp_path / "archive"), raising=False)
    forget()
    yield
    # Else the tests that come later would find this one's archive.
    forget()


@pytest.fixture
def old(site: Site) -> Callable[[int], list[ERPExport]]:
    """So many exports that the ERP accepted long ago."""

    def make(how_many: int = 1) -> list[ERPExport]:
        exports = accepted(site, how_many)
        age()
        return [ERPExport.objects.get(pk=export.pk) for export in exports]

    return make
