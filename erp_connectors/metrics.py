"""Prometheus metrics, read from the database at each scrape, so they are right for any number of processes."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from erp_connectors import counters
from erp_connectors.counters import BUCKETS, INFINITE, Name
from erp_connectors.faults import FAULT_KINDS
from erp_connectors.leases import LeasePurpose
from erp_connectors.retention.outlook import finished_at
from erp_connectors.retention.periods import ContentKind
from erp_connectors.services.upkeep import gauges
from erp_connectors.services.upkeep.gauges import ConnectionGauges
from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow import clock, jobs

PREFIX = "orderflow"


# Name, help, and the figure of a connection at a time.
PER_CONNECTION: dict[str, tuple[str, Callable[[ConnectionGauges, datetime], float]]] = {
    "queue_exports": ("Exports that wait to be sent.", lambda one, now: one.waiting),
    "queue_oldest_seconds": (
        "Age of the oldest export that waits to be sent.",
        lambda one, now: _age(one.oldest, now),
    ),
    "unanswered_exports": ("Sent exports that the ERP has not answered.", lambda one, now: one.unanswered),
    "overdue_exports": (
        "Sent exports that the ERP has not answered in time.",
        lambda one, now: one.overdue,
    ),
    "circuit_open": (
        "1 where a connection's queue is held until it works again.",
        lambda one, now: int(one.circuit_open),
    ),
    "poll_age_seconds": (
        "Seconds since the ack folder was looked at.",
        lambda one, now: _age(one.polled_at, now),
    ),
}


def scrape() -> bytes:
    """In Prometheus' text format."""
    started, now = time.perf_counter(), clock.now()
    found = gauges.connections()
    shown = _worst_first(found)[: settings.METRICS_CONNECTIONS]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Overall(now, connections=len(found), left_out=len(found) - len(shown), since=started))
    return b"".join(_lines(shown, now)) + generate_latest(registry)


def _lines(shown: Sequence[ConnectionGauges], now: datetime) -> Iterator[bytes]:
    """Thousands of samples, which the client library would take ten times as long to write."""
    labels = [f'{{connection="{one.pk}",org="{_escaped(one.org)}"}}' for one in shown]
    for name, (help_text, figure) in PER_CONNECTION.items():
        head = f"# HELP {PREFIX}_{name} {help_text}\n# TYPE {PREFIX}_{name} gauge\n"
        body = "".join(
            f"{PREFIX}_{name}{which} {figure(one, now)}\n" for which, one in zip(labels, shown, strict=True)
        )
        yield f"{head}{body}".encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


class _Overall(Collector):
    def __init__(self, now: datetime, *, connections: int, left_out: int, since: float) -> None:
        self._now = now
        self._connections = connections
        self._left_out = left_out
        self._since = since

    def collect(self) -> Iterator[Metric]:
        yield from _counted(counters.totals())
        backlog, beats = gauges.archive_backlog(), gauges.heartbeats()
        oldest = _age(backlog.oldest, self._now)
        yield _gauge("archive_backlog_exports", "Exports whose copy the archive lacks still.", backlog.count)
        yield _gauge("archive_backlog_oldest_seconds", "Age of the oldest of them.", oldest)
        removing = "Seconds since a daily run of retention came to its end; 0 where all is kept for ever."
        yield _gauge("retention_age_seconds", removing, _age(finished_at(), self._now))
        yield _gauge("orders_in_error", "Orders that wait for a person.", gauges.orders_in_error())
        yield _gauge("tasks_waiting", "Wake-ups that no worker has taken yet.", jobs.waiting())
        yield _gauge("worker_clusters", "Process trees of workers that have shown life.", len(beats))
        if beats:
            age = _age(beats[0], self._now)
            yield _gauge("worker_heartbeat_age_seconds", "Seconds since any worker showed life.", age)
        yield _gauge("connections", "Active connections.", self._connections)
        left_out = "Active connections too many to be shown one by one."
        yield _gauge("connections_left_out", left_out, self._left_out)
        yield _gauge(
            "scrape_seconds", "How long it took to read all this.", time.perf_counter() - self._since
        )


def _worst_first(found: Sequence[ConnectionGauges]) -> list[ConnectionGauges]:
    return sorted(found, key=lambda one: (not one.is_failing, -one.waiting))


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value=value)


Totals = dict[tuple[str, str], tuple[int, float]]


def _counted(totals: Totals) -> Iterator[Metric]:
    codes = sorted(FAULT_KINDS)
    yield _counter(totals, Name.EXPORTS, "status", ExportStatus.values, "Exports that entered a status.")
    yield _counter(totals, Name.FAILURES, "code", codes, "Exports that failed for good, by error code.")
    yield _counter(totals, Name.FAULTS, "code", codes, "Faults that attempts to deliver met, by error code.")
    yield _counter(totals, Name.CIRCUITS, "code", codes, "Connections held back, by error code.")
    files = [status for status in AckFileStatus.values if status != AckFileStatus.WAITING]
    yield _counter(totals, Name.ACK_FILES, "outcome", files, "Ack files decided, by what became of them.")
    yield _counter(
        totals, Name.TAKEOVERS, "purpose", [*LeasePurpose], "Leases taken over from workers that fell silent."
    )
    kinds = [str(kind) for kind in ContentKind]
    yield _counter(
        totals, Name.REMOVED, "content", kinds, "Contents that retention removed, by what they are."
    )
    yield _histogram(totals, Name.DELIVERY, "From the push to the file in the dropzone.")
    yield _histogram(totals, Name.ACK, "From the file in the dropzone to the ERP's answer.")


_CALLED = {
    Name.EXPORTS: "exports",
    Name.FAILURES: "export_failures",
    Name.FAULTS: "delivery_faults",
    Name.CIRCUITS: "circuits_opened",
    Name.ACK_FILES: "ack_files",
    Name.TAKEOVERS: "lease_takeovers",
    Name.REMOVED: "retention_removed",
    Name.DELIVERY: "delivery_seconds",
    Name.ACK: "ack_seconds",
}


def _counter(totals: Totals, name: Name, label: str, values: Sequence[str], help_text: str) -> Metric:
    """Each value from the start, at nought: the first failure is an increase, not a new series."""
    family = CounterMetricFamily(f"{PREFIX}_{_CALLED[name]}", help_text, labels=[label])
    for value in values:
        family.add_metric([value], totals.get((name, value), (0, 0.0))[0])
    return family


def _histogram(totals: Totals, name: Name, help_text: str) -> Metric:
    buckets, so_far, seconds = [], 0, 0.0
    for bound in (*(str(float(one)) for one in BUCKETS[name]), INFINITE):
        how_many, took = totals.get((name, bound), (0, 0.0))
        so_far, seconds = so_far + how_many, seconds + took
        buckets.append((bound, so_far))
    family = HistogramMetricFamily(f"{PREFIX}_{_CALLED[name]}", help_text)
    family.add_metric([], buckets=buckets, sum_value=seconds)
    return family
