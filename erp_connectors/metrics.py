"""What Prometheus asks for, read from the database at each scrape: right across any number of processes."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus

PREFIX = "orderflow"


def scrape() -> bytes:
    """In Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Dropzone(timezone.now()))
    return generate_latest(registry)


class _Dropzone(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield self._exports()
        yield from self._per_connection()

    def _exports(self) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}_exports", "Exports by status.", labels=["status"])
        counts = dict(ERPExport.objects.order_by().values_list("status").annotate(Count("pk")))
        for status in ExportStatus.values:
            family.add_metric([status], counts.get(status, 0))
        return family

    def _per_connection(self) -> Iterator[Metric]:
        queue = self._family("queue_exports", "Exports that wait to be sent.")
        oldest = self._family("queue_oldest_seconds", "Age of the oldest export that waits to be sent.")
        overdue = self._family("overdue_exports", "Sent exports that the ERP has not answered in time.")
        circuit = self._family("circuit_open", "1 where a connection's queue is held until it works again.")
        polled = self._family("poll_age_seconds", "Seconds since the ack folder was looked at.")
        waiting, late = _waiting(), _late()
        for connection in (
            ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE).defer("config").order_by("pk")
        ):
            labels = [str(connection.pk), str(connection.org_id)]
            how_many, since = waiting.get(connection.pk, (0, None))
            queue.add_metric(labels, how_many)
            oldest.add_metric(labels, (self._now - since).total_seconds() if since else 0)
            overdue.add_metric(labels, late.get(connection.pk, 0))
            circuit.add_metric(labels, int(connection.circuit_open))
            if connection.last_poll_at:
                polled.add_metric(labels, (self._now - connection.last_poll_at).total_seconds())
        yield from (queue, oldest, overdue, circuit, polled)

    def _family(self, name: str, help_text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{PREFIX}_{name}", help_text, labels=["connection", "org"])


def _waiting() -> dict[object, tuple[int, datetime]]:
    rows = ERPExport.objects.filter(status=ExportStatus.PENDING).order_by().values("connection")
    counted = rows.annotate(how_many=Count("pk"), since=Min("created_at"))
    return {row["connection"]: (row["how_many"], row["since"]) for row in counted}


def _late() -> dict[object, int]:
    rows = ERPExport.objects.overdue().order_by()
    return dict(rows.values_list("connection").annotate(Count("pk")))
