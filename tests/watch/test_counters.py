"""Counts are only ever added; putting them together changes no sum, whoever does it at the same time."""

import threading

import pytest
from django.db import connection, transaction

from erp_connectors import counters
from erp_connectors.counters import MetricCount, Name
from orderflow.tenancy import scope

pytestmark = pytest.mark.django_db(transaction=True)


def fill(times: int) -> None:
    for n in range(times):
        counters.count(Name.EXPORTS, "SENT", 2)
        counters.observe(Name.ACK, [5.0, 5.0, 100.0 + n])


def in_thread(act) -> threading.Thread:
    @scope.everything()
    def run():
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_putting_rows_together_changes_no_sum():
    fill(100)
    before, rows = counters.totals(), MetricCount.objects.count()

    saved = counters.compact()

    assert counters.totals() == before
    assert MetricCount.objects.count() == rows - saved == 4
    assert counters.compact() == 0


def test_few_rows_are_left_alone():
    fill(10)

    assert counters.compact() == 0


def test_several_that_do_it_at_once_lose_and_double_nothing():
    fill(150)
    before = counters.totals()

    threads = [in_thread(counters.compact) for _ in range(4)] + [in_thread(lambda: fill(20))]
    for thread in threads:
        thread.join()

    fill(0)
    after = counters.totals()
    assert after["exports", "SENT"][0] == before["exports", "SENT"][0] + 40
    assert after["ack", "10.0"][0] == before["ack", "10.0"][0] + 40


@pytest.mark.postgres_only
def test_a_count_committed_late_is_not_swept_away():
    inserted, may_commit = threading.Event(), threading.Event()

    def slowly():
        with transaction.atomic():
            counters.count(Name.EXPORTS, "ACKED")
            inserted.set()
            may_commit.wait(20)

    thread = in_thread(slowly)
    assert inserted.wait(20)
    fill(100)
    assert counters.compact()
    may_commit.set()
    thread.join()

    assert counters.totals()["exports", "ACKED"][0] == 1


def test_what_is_rolled_back_is_not_counted():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        counters.count(Name.EXPORTS, "SENT")
        raise ZeroDivisionError

    assert counters.totals() == {}


def test_an_answer_before_its_question_took_no_time_and_a_long_one_is_in_no_bucket():
    counters.observe(Name.ACK, [-3.0, 10.0, 1e9])

    assert counters.totals() == {("ack", "10.0"): (2, 10.0), ("ack", "+Inf"): (1, 1e9)}
