"""Messages are wake-ups: losing all of them, or getting each ten times, changes nothing but when."""

import threading

import pytest
from django.db import connection
from django_q.models import OrmQ

from erp_connectors import tasks
from orderflow.tenancy import scope
from tests.crash.cells import Cell
from tests.crash.conftest import MakeCell


def wake_all() -> list[str]:
    """Run what is in the broker, as a cluster would; returns the functions that ran."""
    queued = list(OrmQ.objects.order_by("pk"))
    OrmQ.objects.filter(pk__in=[row.pk for row in queued]).delete()
    ran = []
    for row in queued:
        ran.append(row.task["func"])
        getattr(tasks, row.task["func"].rpartition(".")[2])(*row.task["args"])
    return ran


@pytest.fixture
def cells(make_cell: MakeCell) -> list[Cell]:
    OrmQ.objects.all().delete()
    return [make_cell("filesystem", takes=takes) for takes in (False, True)]


def test_a_broker_emptied_in_mid_flight_loses_no_order(cells: list[Cell]) -> None:
    for cell in cells:
        cell.push()
        cell.killed("staged-committed")  # it had taken its message with it
        cell.push()
        cell.let_lease_run_out()
    OrmQ.objects.all().delete()

    assert tasks.sweep().startswith("2 deliveries woken")
    wake_all()

    for cell in cells:
        cell.require_published_once()
    assert tasks.sweep().startswith("0 deliveries woken")


def test_each_wake_up_ten_times_over_publishes_once(cells: list[Cell]) -> None:
    for cell in cells:
        cell.push()
    again = [(row.key, row.payload, row.lock) for row in OrmQ.objects.all() for _ in range(9)]
    OrmQ.objects.bulk_create(OrmQ(key=key, payload=payload, lock=lock) for key, payload, lock in again)

    assert len(wake_all()) == 10 * len(cells)

    for cell in cells:
        cell.require_published_once()


def test_ten_workers_woken_at_once_for_the_same_orders_publish_once(cells: list[Cell]) -> None:
    for cell in cells:
        cell.push()
    start = threading.Barrier(10 * len(cells))

    @scope.everything()
    def woken(cell: Cell) -> None:
        start.wait()
        tasks.deliver(str(cell.connection.pk))
        connection.close()

    threads = [threading.Thread(target=woken, args=[cell]) for cell in cells for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    OrmQ.objects.all().delete()

    for cell in cells:
        cell.require_published_once()
