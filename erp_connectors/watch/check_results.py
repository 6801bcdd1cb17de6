"""Results of checks: the finding, its level, and what to do."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec
import structlog
from django.db import DatabaseError

log = structlog.get_logger(__name__)


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """``what`` is only shown to authorised clients; ``to_do`` is empty if there is nothing to do."""

    check: str = ""
    level: Level = Level.OK
    what: str
    to_do: str = ""
    ms: int = 0


Check = Callable[[], Iterable[CheckResult]]


def ok(what: str) -> CheckResult:
    return CheckResult(what=what)


def warning(what: str, to_do: str) -> CheckResult:
    return CheckResult(level=Level.WARNING, what=what, to_do=to_do)


def error(what: str, to_do: str) -> CheckResult:
    return CheckResult(level=Level.ERROR, what=what, to_do=to_do)


def some(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def run_all(checks: Mapping[str, Check]) -> Iterator[CheckResult]:
    """Yield the results of each check when it is done; a check that raises is a result, too."""
    for name, check in checks.items():
        started = time.perf_counter()
        found = _run(name, check)
        ms = round((time.perf_counter() - started) * 1000)
        for finding in found:
            yield msgspec.structs.replace(finding, check=name, ms=ms)


def _run(name: str, check: Check) -> list[CheckResult]:
    try:
        return list(check())
    except DatabaseError as problem:
        return [error(f"The database did not answer: {_one_line(problem)}", "See what the check of it says.")]
    except Exception as broken:
        log.warning("check.broke", check=name, exc_info=True)
        return [error(f"{type(broken).__name__}: {_one_line(broken)}", "See the log for the trace.")]


def _one_line(broken: Exception) -> str:
    return " ".join(str(broken).split()) or "no details"
