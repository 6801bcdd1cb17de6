from datetime import timedelta

from orderflow.backoff import backoff, with_jitter

SECOND = timedelta(seconds=1)


def test_each_failure_doubles_the_pause_up_to_the_longest():
    pauses = [backoff(failures, first=15 * SECOND, longest=100 * SECOND) for failures in range(6)]

    assert [pause.total_seconds() for pause in pauses] == [15, 15, 30, 60, 100, 100]


def test_any_number_of_failures_and_any_first_pause_end_in_the_longest():
    assert backoff(10**9, first=timedelta(days=31), longest=timedelta(days=40)) == timedelta(days=40)
    assert backoff(1, first=timedelta(days=31), longest=SECOND) == SECOND


def test_jitter_is_half_of_the_pause_at_most():
    pauses = {with_jitter(100 * SECOND) for _ in range(50)}

    assert 50 * SECOND <= min(pauses) < max(pauses) <= 100 * SECOND
