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
# Seconds; None: it did not do the job.
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

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str) -> float:
        """How many times as long as ours it took."""
        return self.median(name) / self.median(OURS)


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
                result.failed[name] = str(error)
                print(f"  {name:28} {error}", flush=True)
            else:
                result.seconds.setdefault(name, []).append(seconds)
                print(f"  {name:28} {seconds:9.3f} s", flush=True)
    return result


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
