"""Checks of database, migrations, broker, archive, workers and polls, for `/readyz` and `doctor`."""

from collections.abc import Iterator
from datetime import timedelta
from secrets import token_hex

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from erp_connectors.archive import ALIAS
from erp_connectors.services.upkeep import gauges
from erp_connectors.watch.check_results import Check, CheckResult, error, ok, some, warning
from orderflow import clock, jobs

SILENT = timedelta(seconds=60)
LONG_QUEUE = 1000
PROBE_BODY = b"Written and removed by a check.\n"


def database() -> Iterator[CheckResult]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as problem:
        text = " ".join(str(problem).split())
        yield error(
            f"It does not answer: {text}", "Start it, or correct DATABASE_URL; nothing works without it."
        )
    else:
        yield ok(f"{connection.vendor} answers")


def migrations() -> Iterator[CheckResult]:
    executor = MigrationExecutor(connection)
    missing = [
        f"{one.app_label}.{one.name}"
        for one, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
    ]
    if missing:
        listed = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "")
        yield error(f"{len(missing)} are not applied: {listed}", "Run: manage.py migrate")
    else:
        yield ok("all are applied")


def broker() -> Iterator[CheckResult]:
    waiting = jobs.waiting()
    if waiting > LONG_QUEUE:
        yield warning(
            f"{waiting} tasks wait for a worker",
            "Start more workers (manage.py run_workers --workers N). Rows decide what is due: nothing is lost.",
        )
    else:
        yield ok(f"{some(waiting, 'task waits', 'tasks wait')} for a worker")


def archive() -> Iterator[CheckResult]:
    storage, name = storages[ALIAS], f"checks/{token_hex(8)}.txt"
    advice = "See S3_* and ARCHIVE_DIR in docs/settings.md. Orders go out meanwhile; their copies wait in the database."
    try:
        kept = storage.save(name, ContentFile(PROBE_BODY))
        with storage.open(kept, "rb") as stored:
            same = stored.read() == PROBE_BODY
        storage.delete(kept)
    except Exception as problem:  # noqa: BLE001  # each storage backend raises errors of its own
        text = " ".join(str(problem).split())
        yield error(f"A file can't be kept: {type(problem).__name__}: {text}", advice)
        return
    yield ok("a file was written, read and removed") if same else error("It gave back other bytes.", advice)


def workers() -> Iterator[CheckResult]:
    now, beats = clock.now(), gauges.heartbeats()
    start = "Start them: manage.py run_workers (as a service: see its log first)."
    if not beats:
        yield error("No worker runs, as far as the database knows.", start)
    elif now - beats[0] > SILENT:
        yield error(f"No worker has shown life for {(now - beats[0]).total_seconds():.0f} s.", start)
    else:
        yield ok(f"{some(sum(now - at <= SILENT for at in beats), 'cluster shows', 'clusters show')} life")


def polls() -> Iterator[CheckResult]:
    """Count only connections whose last poll succeeded: a failing ERP is not a fault of the workers."""
    now, late_after = clock.now(), polls_late_after()
    ages = [now - one.polled_at for one in gauges.connections() if not one.poll_failures]
    late = [age for age in ages if age > late_after]
    if late:
        yield error(
            f"{len(late)} of {len(ages)} ack folders were not looked at in time; the longest for "
            f"{max(late).total_seconds():.0f} s.",
            "Workers show life: see their log, and start more (manage.py run_workers --workers N)."
            if any(now - at <= SILENT for at in gauges.heartbeats())
            else "Start workers: manage.py run_workers.",
        )
    else:
        longest = f"; the longest for {max(ages).total_seconds():.0f} s" if ages else ""
        yield ok(f"{len(ages)} ack folders are looked at{longest}")


def polls_late_after() -> timedelta:
    return timedelta(seconds=max(5 * settings.ACK_POLL_INTERVAL_SECONDS, 300))


PARTS: dict[str, Check] = {
    "database": database,
    "migrations": migrations,
    "broker": broker,
    "storage": archive,
    "workers": workers,
    "polls": polls,
}
