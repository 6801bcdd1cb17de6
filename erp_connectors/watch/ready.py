"""Readiness: each check runs at most once every few seconds, whatever the number of requests, with a deadline."""

import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass

from django.db import connection

from erp_connectors.watch.check_results import Check, CheckResult, Level, error, run_all
from erp_connectors.watch.readiness_checks import PARTS
from orderflow.tenancy import scope

PATIENCE = 5.0
# These checks write to the archive and read many migration files: too costly to run at each request.
CACHE_SECONDS = {"storage": 15.0, "migrations": 15.0}
CACHE_SECONDS_ON_ERROR = 1.0


class UnknownPart(Exception):
    """The text says which parts there are."""


@dataclass(frozen=True, slots=True)
class _Answer:
    findings: list[CheckResult]
    at: float


_answers: dict[str, _Answer] = {}
_asking: dict[str, "Future[list[CheckResult]]"] = {}
_lock = threading.Lock()
_pool = ThreadPoolExecutor(max_workers=len(PARTS), thread_name_prefix="readiness")


def chosen(only: str) -> list[str]:
    """Raises `UnknownPart`."""
    names = [name.strip() for name in only.split(",") if name.strip()] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        raise UnknownPart(f"There is no part {unknown[0][:40]!r}; there are: {', '.join(PARTS)}.")
    return names


def check(names: Collection[str]) -> list[CheckResult]:
    """Return the worst result of each check, in order."""
    ends = time.monotonic() + PATIENCE
    return [max(_ask(name, ends), key=lambda one: list(Level).index(one.level)) for name in names]


def clear_cache() -> None:
    with _lock:
        _answers.clear()


def _ask(name: str, ends: float) -> list[CheckResult]:
    """At most one is under way for each part, also where it hangs."""
    with _lock:
        known = _answers.get(name)
        if known and time.monotonic() - known.at < CACHE_SECONDS.get(name, CACHE_SECONDS_ON_ERROR):
            return known.findings
        if name not in _asking:
            _asking[name] = _pool.submit(_find, name, PARTS[name])
        asked = _asking[name]
    try:
        return asked.result(max(ends - time.monotonic(), 0.01))
    except TookTooLong:
        return [_late(name)]


def _find(name: str, check: Check) -> list[CheckResult]:
    try:
        with scope.everything():
            found = list(run_all({name: check}))
        with _lock:
            _answers[name] = _Answer(found, time.monotonic())
        return found
    finally:
        with _lock:
            _asking.pop(name, None)
        connection.close()


def _late(name: str) -> CheckResult:
    finding = error(
        f"It did not answer within {PATIENCE:.0f} s.", "Look at what it stands on, and at the log."
    )
    return CheckResult(
        check=name, level=finding.level, what=finding.what, to_do=finding.to_do, ms=round(PATIENCE * 1000)
    )
