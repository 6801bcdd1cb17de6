"""How long what is made up is tried: a moment in the suite, as long as wanted by `make fuzz`."""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES = 100
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


def explore(check: Callable[..., None], *examples: SearchStrategy[Any], share: float = 1.0) -> None:
    """The same examples each time, or with `FUZZ_SECONDS` ever new ones until that time is over.

    ``share``: of the usual number, for a check that takes longer than others.
    """
    limits = settings(
        max_examples=max(1, int(EXAMPLES * share)),
        derandomize=not SECONDS,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    ends = time.monotonic() + SECONDS
    while True:
        limits(given(*examples)(check))()
        if time.monotonic() >= ends:
            return
