"""Exponential back-off: the pause before the next try after some failures in a row."""

import random
from datetime import timedelta

# 2**20 times one second is longer than any pause.
_MAX_DOUBLINGS = 20


def backoff(failures: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """Return ``first`` after one failure, and twice as long after each further one, at most ``longest``."""
    pause: timedelta = first * 2 ** min(max(failures, 1) - 1, _MAX_DOUBLINGS)
    return min(longest, pause)


def with_jitter(pause: timedelta) -> timedelta:
    """Return 50 to 100 % of the pause, so that what failed together is not tried again together."""
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  # spreads, and protects nothing
