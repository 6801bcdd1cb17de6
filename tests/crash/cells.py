"""One cell of the matrix: an org, its connection, an ERP that watches, three orders; and the verdict at the end."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.files.storage import storages
from django.utils import timezone

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org
from tests import factories
from tests.crash.erp import FINAL, Erp
from tests.crash.orders import Ended
from tests.crash.workers import Workers

# The order in the middle takes several writes over SFTP, and one in a folder. Long notes cost less than many lines.
SEVERAL_WRITES, SHORT = "Lieferung bis 10 Uhr\n" * 2_000, "Lieferung bis 10 Uhr"
NOTES = (SHORT, SEVERAL_WRITES, SHORT)
SHORT_NOTES = (SHORT, SHORT, SHORT)

Note = Callable[[str, int], None]


@dataclass
class Cell:
    org: Org
    connection: ERPConnection
    folder: Path
    erp: Erp
    workers: Workers
    note: Note
    notes: Sequence[str] = NOTES

    @property
    def inbox(self) -> Path:
        return self.folder / "in"

    def push(self, how_many: int | None = None) -> list[ERPExport]:
        """Push an order for each of the cell's notes, or ``how_many`` short ones."""
        buyer = factories.customer(self.org)
        notes = self.notes if how_many is None else [SHORT] * how_many
        orders = [factories.draft(self.org, customer=buyer, notes=text) for text in notes]
        results = push_many(factories.ids(orders), actor=None)
        return [results[order.pk].export for order in orders]

    def killed(self, point: str, **options: object) -> None:
        """A worker that dies at a point."""
        ended = self.deliver(plan={point: "SIGKILL"}, **options)
        assert ended.how == "killed", f"it never came to {point}: {ended.passed}"

    def frozen(self, point: str, *, then: dict[str, str] | None = None, **options: object) -> Ended:
        """A worker that freezes at a point; ``then`` is what happens to it once it was woken."""
        ended = self.deliver(plan={point: "SIGSTOP", **(then or {})}, **options)
        assert ended.how == "stopped", f"it never came to {point}: {ended.passed}"
        return ended

    def finished(self) -> Ended:
        """A worker that takes over once the lease is over, and comes to its end."""
        ended = self.deliver()
        assert (ended.how, "another worker" in ended.said) == ("exited", False)
        return ended

    def woken(self, sleeper: Ended) -> None:
        assert self.workers.wake(sleeper).how == "exited"

    def deliver(self, **options: object) -> Ended:
        self.erp.settle()
        self.let_lease_run_out()
        return self.workers.run("deliver", self.connection.pk, **options)  # type: ignore[arg-type]

    def poll(self, **options: object) -> Ended:
        self.let_lease_run_out("poll_lease")
        return self.workers.run("poll", self.connection.pk, **options)  # type: ignore[arg-type]

    def answer(self, name: str, body: bytes) -> None:
        """An ack file, whole at once, as a good ERP writes it."""
        temporary = self.folder / "answer"
        temporary.write_bytes(body)
        temporary.rename(self.folder / "ack" / name)

    def let_lease_run_out(self, purpose: str = "delivery_lease") -> None:
        """As time would: a short lease would also run out under workers that are merely slow today."""
        held = ERPConnection.objects.filter(pk=self.connection.pk).exclude(**{f"{purpose}_token": ""})
        held.update(**{f"{purpose}_until": timezone.now() - timedelta(seconds=1)})

    def exports(self) -> list[ERPExport]:
        return list(ERPExport.objects.filter(org=self.org).select_related("draft_order"))

    def require_published_once(self, *, counted: bool = True) -> None:
        """Each order's file appeared once and whole, is archived, and every row says so."""
        self.erp.settle()
        exports = self.exports()
        if counted:
            self.count(exports)
        seen = self.erp.seen
        assert seen.appeared == Counter(export.filename for export in exports)
        assert seen.unfinished == set()
        for export in exports:
            with storages["exports"].open(export.export_storage_key) as archived:
                assert seen.contents[export.filename] == {archived.read()}
            assert (export.status, export.payload, export.failed_as) == (ExportStatus.SENT, None, "")
            assert export.archived_at
            assert export.draft_order.status == DraftStatus.PUSHED
            assert [e.what for e in export.events.all()].count("published") == 1
        audited = AuditLog.objects.filter(org=self.org, action=Action.DRAFT_PUSHED)
        assert sorted(row.entity_id for row in audited) == sorted(str(e.draft_order_id) for e in exports)
        assert self.leftovers() == []

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.inbox.iterdir() if path.suffix not in FINAL)

    def count(self, exports: Sequence[ERPExport]) -> None:
        """For the table at the end of the run; whatever is wrong, the assertions say in detail."""
        seen = self.erp.seen
        times = [seen.appeared[export.filename] for export in exports]
        self.note("cells", 1)
        self.note("published once", times.count(1))
        self.note("lost", times.count(0))
        self.note("twice", sum(1 for count in times if count > 1))
        self.note(
            "partial", len(seen.unfinished) + sum(1 for bodies in seen.contents.values() if len(bodies) > 1)
        )


def require_killed_harmless(cells: Sequence[Cell], point: str) -> None:
    """A worker is killed at the point, and another one finishes: each order is published once."""
    for cell in cells:
        cell.killed(point)
    for cell in cells:
        cell.finished()

    for cell in cells:
        cell.require_published_once()


def require_frozen_harmless(
    cells: Sequence[Cell], point: str, *, awake: AbstractContextManager[object] | None = None
) -> None:
    """A worker freezes at the point, another one finishes, and the first wakes up in ``awake``: it changes nothing."""
    frozen = [cell.frozen(point) for cell in cells]
    for cell in cells:
        cell.finished()
        cell.require_published_once(counted=False)
    with awake or nullcontext():
        for cell, sleeper in zip(cells, frozen, strict=True):
            cell.woken(sleeper)

    for cell in cells:
        cell.require_published_once()
