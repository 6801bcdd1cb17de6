"""Contenders take turns, round after round; what counts is the median and its ratio to ours."""

import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

OURS = "ours"
# Does the job once and returns its seconds, or raises.
Run = Callable[[], float]


class DidNotDoIt(Exception):
    """A contender ended without having done the job; the text says what it left undone."""


@dataclass
class Result:
    case: str
    title: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    # What the others' ratios refer to; empty where a table compares nothing.
    baseline: str = OURS

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str) -> float:
        """Return the duration as a multiple of the baseline, mostly ours."""
        return self.median(name) / self.median(self.baseline)


def take_turns(case: str, title: str, contenders: Mapping[str, Run], *, rounds: int) -> Result:
    result = Result(case, title)
    print(f"\n{title}", flush=True)
    for _ in range(rounds):
        for name, run in contenders.items():
            if name in result.failed:
                continue
            try:
                seconds = run()
            except (DidNotDoIt, subprocess.TimeoutExpired) as error:
                result.failed[name] = _why(error)
                print(f"  {name:28} {_why(error)}", flush=True)
            else:
                result.seconds.setdefault(name, []).append(seconds)
                print(f"  {name:28} {seconds:9.3f} s", flush=True)
    return result


def _why(error: DidNotDoIt | subprocess.TimeoutExpired) -> str:
    # The text of TimeoutExpired is the command with all its paths.
    return f"> {error.timeout:.0f} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def save(results: list[Result], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    machine = {"cores": len_cpus(), "python": platform.python_version(), "kernel": platform.release()}
    path.write_text(json.dumps({"machine": machine, "results": [asdict(one) for one in results]}, indent=1))
    return path


def load(path: Path) -> list[Result]:
    return [Result(**one) for one in json.loads(path.read_text())["results"]]


def len_cpus() -> int:
    return len(Path("/proc/cpuinfo").read_text().split("processor\t")) - 1
