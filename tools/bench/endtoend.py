"""From push to ACKED with real workers: orders that wait in a database of their own, an ERP that answers at once.

Run as a program, it is the part that lives in that world: it pushes, plays the ERP, wakes polls, and waits.
"""

import gzip
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.jobs.processes import new_world, world_at
from tools.bench.answers import write_acks
from tools.bench.measuring import DidNotDoIt
from tools.bench.world import World

MAX_SECONDS = 390
# In production a schedule asks once a minute; what counts here is work, not waiting.
SECONDS_BETWEEN_POLLS = 0.3


def orders_per_second(
    world: World, database_url: str, *, workers: int, orders: list[dict[str, Any]]
) -> float:
    folder = world.new_folder("in", "ack", "ack/processed", "taken")
    own = folder / "own"
    own.mkdir()
    (own / "orders.json").write_text(json.dumps(orders))
    config = world.link(0).config(export_path=f"{folder}/in", ack_path=f"{folder}/ack")
    (own / "config.json").write_text(json.dumps(config))
    place = world_at(own, DATABASE_URL=database_url) if database_url else new_world(own)
    code = f"from tools.bench.endtoend import drive; drive({str(own)!r}, {str(folder)!r})"
    with place.running("run_workers", "--workers", str(workers)):
        done = place.manage("shell", "--no-imports", "-c", code)
    if done.returncode:
        raise DidNotDoIt(done.stderr[-500:])
    return float(done.stdout.split()[-1])


def drive(own: str, folder: str) -> None:
    """Prints orders per second."""
    from erp_connectors.models import ERPExport  # noqa: PLC0415
    from erp_connectors.services.exports.push import push_many  # noqa: PLC0415
    from erp_connectors.states import ExportStatus  # noqa: PLC0415
    from orderflow import jobs  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415
    from tools.bench import ours  # noqa: PLC0415  # needs the settings of this process

    org = factories.org()
    connection = factories.connection(org, json.loads((Path(own) / "config.json").read_text()))
    ids = ours.load_orders(org, json.loads((Path(own) / "orders.json").read_text()))
    _wait_for_workers()
    started, polled = time.perf_counter(), 0.0
    for at in range(0, len(ids), 200):
        push_many(ids[at : at + 200], actor=None)
    while ERPExport.objects.filter(org=org, status=ExportStatus.ACKED).count() < len(ids):
        if time.perf_counter() - started > MAX_SECONDS:
            sys.exit("not all were ACKED in time")
        _answer(Path(folder))
        if time.perf_counter() - polled > SECONDS_BETWEEN_POLLS:
            jobs.enqueue(jobs.Task.POLL, str(connection.pk))
            polled = time.perf_counter()
        time.sleep(0.05)
    print(len(ids) / (time.perf_counter() - started))


def _answer(folder: Path) -> None:
    names = [path.name for path in (folder / "in").glob("*.json")]
    for name in names:
        (folder / "in" / name).rename(folder / "taken" / name)
    write_acks(folder / "ack", names)


def real_orders(beside: Path) -> list[dict[str, Any]]:
    """A wholesaler's month where it lies beside the checkout, else orders of our own."""
    published = beside / "shared" / "data" / "retail-dec2010.jsonl.gz"
    if published.exists():
        with gzip.open(published, "rt") as lines:
            return [json.loads(line) for line in lines]
    return [_made_up(n) for n in range(1400)]


def _made_up(n: int) -> dict[str, Any]:
    line = {
        "internal_sku": "INT-1",
        "product_description": "Kabel",
        "qty": "1",
        "uom": "ST",
        "unit_price": "2.5",
    }
    return {
        "external_order_number": f"PO-{n}",
        "order_date": "2026-11-02",
        "currency": "EUR",
        "customer": {"erp_customer_number": f"{n % 50}", "name": f"Customer {n % 50}"},
        "lines": [{**line, "line_no": no, "currency": "EUR"} for no in range(1, n % 37 + 2)],
    }


def _wait_for_workers() -> None:
    from orderflow import jobs  # noqa: PLC0415  # needs the settings of this process
    from orderflow.heartbeat.models import Heartbeat  # noqa: PLC0415

    jobs.enqueue(jobs.Task.BEAT)
    give_up = time.perf_counter() + 120
    while not Heartbeat.objects.exists():
        if time.perf_counter() > give_up:
            sys.exit("no worker took a task within 120 s")
        time.sleep(0.05)
