"""Try made-up input: as many examples as the profile says, or with `FUZZ_SECONDS` for as long as that."""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from tests.hypothesis_profiles import examples

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


def explore(check: Callable[..., None], *strategies: SearchStrategy[Any], share: float = 1.0) -> None:
    """Try one round of examples, or with `FUZZ_SECONDS` rounds of new ones until that time is over.

    ``share``: of the usual number, for a check that takes longer than others.
    """
    limits = settings(max_examples=examples(share), derandomize=not SECONDS)
    ends = time.monotonic() + SECONDS
    while True:
        limits(given(*strategies)(check))()
        if time.monotonic() >= ends:
            return
