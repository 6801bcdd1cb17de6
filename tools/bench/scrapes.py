"""A scrape of /metrics with many connections and exports: ``python -m tools.bench.scrapes [--database postgres]``."""

import argparse
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import django

from tools.bench import world
from tools.bench.measuring import Result, timed

TIMES = 30
# Of a hundred exports so many stand so; the others are answered.
PENDING, SENT, FAILED = 1, 2, 4


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.scrapes")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--exports", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=1_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/bench.sqlite3"
        if options.database == "postgres":
            from tests.servers.postgres import migrated_server  # noqa: PLC0415  # not needed for SQLite

            url = stack.enter_context(migrated_server(folder / "postgres", durable=True))
        world.prepare_django(folder, url)
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415
        from django.db import connections  # noqa: PLC0415

        stack.callback(connections.close_all)
        call_command("migrate", verbosity=0)
        result = measure(options.exports, options.connections)
        seconds = sorted(next(iter(result.seconds.values())))
        print(
            f"{result.title}: median {result.median('scrape') * 1000:.0f} ms, worst {seconds[-1] * 1000:.0f} ms"
        )
        print("\n".join(result.notes))


def measure(exports: int, how_many: int, *, times: int = TIMES) -> Result:
    from django.db import connection  # noqa: PLC0415
    from django.test import Client, override_settings  # noqa: PLC0415

    _fill(exports, how_many)
    client, token = Client(), "bench" * 8
    result = Result(
        "scrape",
        f"A scrape at {exports:,} exports and {how_many:,} connections, {connection.vendor}",
        baseline="",
    )
    with override_settings(ALLOWED_HOSTS=["testserver"], METRICS_TOKEN=token):

        def scrape() -> bytes:
            answer = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.status_code
            return bytes(answer.content)

        size = scrape()
        before = time.process_time()
        result.seconds["scrape"] = [timed(scrape) for _ in range(times)]
        own = (time.process_time() - before) / times
    lines = sum(not line.startswith(b"#") for line in size.splitlines())
    result.notes = [
        f"{lines} samples, {len(size) / 1000:.0f} kB; {own * 1000:.0f} ms of each on this process's own CPU."
    ]
    return result


def _fill(exports: int, how_many: int) -> None:
    from django.db import connection  # noqa: PLC0415

    from erp_connectors import counters  # noqa: PLC0415
    from tests import factories  # noqa: PLC0415

    places = []
    for _ in range(how_many):
        org = factories.org()
        places.append(
            factories.connection(org, {"mode": "filesystem", "export_path": "/in", "ack_path": "/out"})
        )
    for start in range(0, exports, 5000):
        _some(places, range(start, min(start + 5000, exports)))
    for name, label in ((counters.Name.EXPORTS, "SENT"), (counters.Name.EXPORTS, "ACKED")):
        for _ in range(counters.WORTH_IT):
            counters.count(name, label)
    for _ in range(counters.WORTH_IT):
        counters.observe(counters.Name.DELIVERY, [0.5, 3, 40])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _some(places: list, numbers: range) -> None:  # type: ignore[type-arg]
    from django.utils import timezone  # noqa: PLC0415

    from erp_connectors.models import ERPExport  # noqa: PLC0415
    from orderflow.orders.models import Customer, DraftOrder  # noqa: PLC0415

    now = timezone.now()
    buyers = dict(Customer.objects.values_list("org", "pk"))
    if not buyers:
        Customer.objects.bulk_create(
            Customer(org_id=one.org_id, name="Bench", default_currency="EUR") for one in places
        )
        buyers = dict(Customer.objects.values_list("org", "pk"))
    drafts, rows = [], []
    for n in numbers:
        place, made = places[n % len(places)], now - timedelta(minutes=n % 500_000)
        kind = (n // len(places)) % 100
        status = "PENDING" if kind < PENDING else "SENT" if kind < PENDING + SENT else "ACKED"
        if PENDING + SENT <= kind < PENDING + SENT + FAILED:
            status = "FAILED"
        draft = DraftOrder(
            org_id=place.org_id,
            customer_id=buyers[place.org_id],
            external_order_number=f"PO-{n}",
            currency="EUR",
            status={"PENDING": "PUSHING", "FAILED": "ERROR"}.get(status, "PUSHED"),
        )
        drafts.append(draft)
        rows.append(
            ERPExport(
                org_id=place.org_id,
                connection_id=place.pk,
                draft_order=draft,
                filename=f"bench_{n}.json",
                status=status,
                failed_as="REFUSED" if status == "FAILED" else "",
                approved_at=made,
                created_at=made,
                sent_at=None if status == "PENDING" else made,
                overdue_at=made if status == "SENT" and n % 2 else None,
            )
        )
    DraftOrder.objects.bulk_create(drafts, batch_size=500)
    ERPExport.objects.bulk_create(rows, batch_size=500)


if __name__ == "__main__":
    main()
