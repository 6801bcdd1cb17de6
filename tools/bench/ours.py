"""The real thing, whole: `deliver` and `poll` on PostgreSQL, from the claim to the last commit, connecting included."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from django.db import connection as database
from django.utils import timezone

from erp_connectors import archive
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.sessions import session_pool
from erp_connectors.states import ExportStatus
from erp_connectors.transports.sftp import SftpTransport
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org
from tests import factories
from tests.servers.ssh import SshServer
from tools.bench.answers import write_acks
from tools.bench.measuring import DidNotDoIt, Run, timed
from tools.bench.world import World, require_uploaded


def uploads(world: World, ms: int, source: Path) -> Run:
    """Deliver exports whose bytes are the files of ``source``, rendered and archived before."""

    def run() -> float:
        folder = world.new_folder("in")
        connection = _connection(world.link(ms), folder, acks=False)
        exports = _exports(connection, [path.read_bytes() for path in sorted(source.iterdir())])
        names = {
            export.filename: path for export, path in zip(exports, sorted(source.iterdir()), strict=True)
        }
        seconds = timed(lambda: deliver(connection.pk))
        session_pool.close()
        for name, path in names.items():
            (folder / "in" / name).rename(folder / "in" / path.name)
        require_uploaded(source, folder / "in")
        if _count(connection, ExportStatus.SENT) != len(exports):
            raise DidNotDoIt("some exports are not SENT")
        return seconds

    return run


def acks(world: World, ms: int, how_many: int) -> Run:
    """Read, decide and move the answers to exports that were sent."""

    def run() -> float:
        folder = world.new_folder("in", "ack", "ack/processed")
        connection = _connection(world.link(ms), folder, acks=True)
        exports = _exports(connection, [b""] * how_many, status=ExportStatus.SENT)
        write_acks(folder / "ack", [export.filename for export in exports])
        seconds = timed(lambda: poll(connection.pk))
        session_pool.close()
        if _count(connection, ExportStatus.ACKED) != how_many:
            raise DidNotDoIt(f"{_count(connection, ExportStatus.ACKED)} of {how_many} ACKED")
        if len(list((folder / "ack" / "processed").iterdir())) != how_many:
            raise DidNotDoIt("some answers were not moved")
        return seconds

    return run


def sent_exports(connection: ERPConnection, how_many: int) -> list[str]:
    """Their file names."""
    exports = _exports(connection, [b""] * how_many, status=ExportStatus.SENT)
    return [export.filename for export in exports]


def idle_polls(world: World, ms: int) -> tuple[float, float]:
    """Seconds of a poll of a quiet folder: connecting first, and with the session of the poll before."""
    connection = _connection(world.link(ms), world.new_folder("in", "ack"), acks=True)
    first = timed(lambda: poll(connection.pk))
    kept = min(timed(lambda: poll(connection.pk)) for _ in range(5))
    session_pool.close()
    return first, kept


@dataclass(frozen=True, slots=True)
class Queue:
    """Approved orders of 10 lines that wait to be pushed over loopback."""

    connection: ERPConnection
    ids: list[Any]
    folder: Path

    def work_off(self) -> float:
        """Push, deliver and acknowledge; seconds of our work, without the ERP's."""
        seconds = timed(
            lambda: [push_many(self.ids[at : at + 200], actor=None) for at in range(0, len(self.ids), 200)]
        )
        seconds += timed(lambda: deliver(self.connection.pk))
        write_acks(self.folder / "ack", [path.name for path in (self.folder / "in").iterdir()])
        seconds += timed(lambda: poll(self.connection.pk))
        session_pool.close()
        if _count(self.connection, ExportStatus.ACKED) != len(self.ids):
            raise DidNotDoIt(f"{_count(self.connection, ExportStatus.ACKED)} of {len(self.ids)} ACKED")
        return seconds


def new_queue(world: World, how_many: int) -> Queue:
    folder = world.new_folder("in", "ack", "ack/processed")
    connection = _connection(world.link(0), folder, acks=True)
    return Queue(connection, approved_orders(connection.org, how_many), folder)


def shares(world: World, how_many: int) -> dict[str, float]:
    """Return the seconds that each part of a queue takes."""
    spent: dict[str, float] = defaultdict(float)
    waiting = new_queue(world, how_many)
    with ExitStack() as stack:
        for name in ("_stage", "_publish", "_list", "_read", "_move", "open"):
            stack.enter_context(_timing(SftpTransport, name, "SFTP", spent))
        stack.enter_context(_timing(archive, "put_all", "archive", spent))
        stack.enter_context(_timing(DropzoneJsonV1, "render", "rendering", spent))
        stack.enter_context(database.execute_wrapper(_timed_statement(spent)))
        total = waiting.work_off()
    return {**spent, "our own code": total - sum(spent.values())}


def _timed_statement(spent: dict[str, float]) -> Callable[..., Any]:
    def wrapper(execute: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent["database"] += time.perf_counter() - started

    return wrapper


@contextmanager
def _timing(owner: Any, name: str, label: str, spent: dict[str, float]) -> Iterator[None]:
    original = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            done = original(*arguments, **named)
            # A listing does its work while it is gone through.
            return iter(list(done)) if name == "_list" else done
        finally:
            spent[label] += time.perf_counter() - started

    with patch.object(owner, name, wrapper):
        yield


def _connection(link: SshServer, folder: Path, *, acks: bool) -> ERPConnection:
    config = link.config(export_path=f"{folder}/in", ack_path=f"{folder}/ack" if acks else None)
    return factories.connection(factories.org(), config)


def _count(connection: ERPConnection, status: ExportStatus) -> int:
    return ERPExport.objects.filter(connection=connection, status=status).count()


def _exports(
    connection: ERPConnection, bodies: Sequence[bytes], *, status: ExportStatus = ExportStatus.PENDING
) -> list[ERPExport]:
    draft_status = DraftStatus.PUSHED if status == ExportStatus.SENT else DraftStatus.PUSHING
    now, drafts = timezone.now(), _drafts(connection.org, len(bodies), draft_status)
    exports = []
    for n, (draft, body) in enumerate(zip(drafts, bodies, strict=True)):
        name = DropzoneJsonV1().filename(draft.pk, at=now, token=f"{n:08x}")
        exports.append(
            ERPExport(
                org=connection.org,
                connection=connection,
                draft_order=draft,
                export_format_version="orderflow_export_json_v1",
                filename=name,
                export_storage_key=archive.storage_key(connection.org_id, name),
                sha256=archive.sha256(body),
                size=len(body),
                status=status,
                approved_at=now,
                archived_at=now,
                created_at=now + timedelta(microseconds=n),
            )
        )
    ERPExport.objects.bulk_create(exports, batch_size=1000)
    if status == ExportStatus.PENDING:
        archive.put_all([archive.Copy(e.export_storage_key, b) for e, b in zip(exports, bodies, strict=True)])
    return exports


def _drafts(org: Org, how_many: int, status: DraftStatus) -> list[DraftOrder]:
    person, buyer, now = factories.user(org), factories.customer(org), timezone.now()
    return DraftOrder.objects.bulk_create(
        [
            DraftOrder(
                id=uuid4(),
                org=org,
                customer=buyer,
                external_order_number=f"PO-{n:06}",
                currency="EUR",
                status=status,
                approved_by=person,
                approved_at=now,
            )
            for n in range(how_many)
        ],
        batch_size=1000,
    )


def approved_orders(org: Org, how_many: int, lines: int = 10) -> list[Any]:
    drafts = _drafts(org, how_many, DraftStatus.APPROVED)
    DraftOrderLine.objects.bulk_create(
        [
            DraftOrderLine(
                draft_order=draft,
                line_no=n,
                internal_sku=f"INT-{n:04}",
                product_description="Kabel NYM-J 3x1,5 mm²",
                qty="10.500",
                uom="M",
                unit_price="1.2345",
                currency="EUR",
            )
            for draft in drafts
            for n in range(1, lines + 1)
        ],
        batch_size=5000,
    )
    return [draft.pk for draft in drafts]


def load_orders(org: Org, orders: Sequence[dict[str, Any]]) -> list[Any]:
    """Approved drafts from orders as dicts, in the shape of a draft's fields."""
    person, now = factories.user(org), timezone.now()
    customers: dict[str, Customer] = {}
    drafts, lines = [], []
    for order in orders:
        number = order["customer"]["erp_customer_number"]
        if number not in customers:
            name = order["customer"]["name"]
            customers[number] = Customer.objects.create(org=org, name=name, erp_customer_number=number)
        draft = DraftOrder(
            org=org,
            customer=customers[number],
            external_order_number=order["external_order_number"],
            order_date=order["order_date"],
            currency=order["currency"],
            status=DraftStatus.APPROVED,
            approved_by=person,
            approved_at=now,
        )
        drafts.append(draft)
        lines += [_line(draft, line) for line in order["lines"]]
    DraftOrder.objects.bulk_create(drafts, batch_size=1000)
    DraftOrderLine.objects.bulk_create(lines, batch_size=5000)
    return [draft.pk for draft in drafts]


def _line(draft: DraftOrder, line: dict[str, Any]) -> DraftOrderLine:
    return DraftOrderLine(
        draft_order=draft,
        line_no=line["line_no"],
        internal_sku=line["internal_sku"],
        product_description=line["product_description"] or "",
        qty=line["qty"],
        uom=line["uom"],
        unit_price=line["unit_price"],
        currency=line["currency"],
    )
