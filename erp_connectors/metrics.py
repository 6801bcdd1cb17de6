"""What Prometheus asks for, read from the database at each scrape: right across any number of processes."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from erp_connectors import counters
from erp_connectors.counters import BUCKETS, INFINITE, Name
from erp_connectors.faults import FAULT_KINDS
from erp_connectors.services import gauges
from erp_connectors.services.gauges import ConnectionGauges
from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow import jobs

PREFIX = "orderflow"
PURPOSES = ("delivery", "poll")


def scrape() -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Dropzone(timezone.now()))
    return generate_latest(registry)


class _Dropzone(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        started = time.perf_counter()
        yield from _counted(counters.totals())
        yield from self._overall()
        yield from self._per_connection(gauges.connections())
        yield _gauge("scrape_seconds", "How long it took to read all this.", time.perf_counter() - started)

    def _overall(self) -> Iterator[Metric]:
        backlog, beats = gauges.archive_backlog(), gauges.heartbeats()
        yield _gauge("archive_backlog_exports", "Exports whose copy the archive lacks still.", backlog.count)
        yield _gauge(
            "archive_backlog_oldest_seconds", "Age of the oldest of them.", self._age(backlog.oldest)
        )
        yield _gauge("orders_in_error", "Orders that wait for a person.", gauges.orders_in_error())
        yield _gauge("tasks_waiting", "Wake-ups that no worker has taken yet.", jobs.waiting())
        yield _gauge("worker_clusters", "Process trees of workers that have shown life.", len(beats))
        if beats:
            age = self._age(beats[0])
            yield _gauge("worker_heartbeat_age_seconds", "Seconds since any worker showed life.", age)

    def _per_connection(self, found: Sequence[ConnectionGauges]) -> Iterator[Metric]:
        shown = _worst_first(found)[: settings.METRICS_CONNECTIONS]
        queue = _family("queue_exports", "Exports that wait to be sent.")
        oldest = _family("queue_oldest_seconds", "Age of the oldest export that waits to be sent.")
        unanswered = _family("unanswered_exports", "Sent exports that the ERP has not answered.")
        overdue = _family("overdue_exports", "Sent exports that the ERP has not answered in time.")
        circuit = _family("circuit_open", "1 where a connection's queue is held until it works again.")
        polled = _family("poll_age_seconds", "Seconds since the ack folder was looked at.")
        for one in shown:
            labels = (str(one.pk), one.org)
            queue.add_metric(labels, one.waiting)
            oldest.add_metric(labels, self._age(one.oldest))
            unanswered.add_metric(labels, one.unanswered)
            overdue.add_metric(labels, one.overdue)
            circuit.add_metric(labels, one.circuit_open)
            polled.add_metric(labels, self._age(one.polled_at))
        yield from (queue, oldest, unanswered, overdue, circuit, polled)
        yield _gauge("connections", "Active connections.", len(found))
        left_out = len(found) - len(shown)
        yield _gauge("connections_left_out", "Active connections too many to be shown one by one.", left_out)

    def _age(self, since: datetime | None) -> float:
        return max((self._now - since).total_seconds(), 0.0) if since else 0.0


def _worst_first(found: Sequence[ConnectionGauges]) -> list[ConnectionGauges]:
    return sorted(found, key=lambda one: (not one.in_trouble, -one.waiting))


def _family(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", help_text, labels=["connection", "org"])


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
        totals, Name.TAKEOVERS, "purpose", PURPOSES, "Leases taken over from workers that fell silent."
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
