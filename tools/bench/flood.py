"""Very many acks at once: how long polls take, what they hold in memory, how many statements they make.

Run as programs of their own: one that fills the folder, and one whose memory is nothing but the polls'.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from tests.jobs.processes import ROOT, world_at
from tools.bench.answers import write_acks
from tools.bench.measuring import DidNotDoIt
from tools.bench.world import World

MAX_SECONDS = 900


class Flood(msgspec.Struct):
    """``peak`` and ``before``: MiB of resident memory; ``longest``: seconds of one poll."""

    seconds: float
    polls: int
    longest: float
    statements: int
    before: float
    peak: float

    def told(self) -> str:
        return (
            f"{self.polls} polls, the longest {self.longest:.1f} s; {self.statements} statements; "
            f"peak memory {self.peak:.0f} MiB, {self.before:.0f} before."
        )


def flood(world: World, database_url: str, *, files: int, ms: int) -> Flood:
    folder = world.new_folder("in", "ack")
    own = folder / "own"
    own.mkdir()
    config = world.link(ms).config(export_path=f"{folder}/in", ack_path=f"{folder}/ack")
    (own / "config.json").write_text(json.dumps(config))
    place = world_at(own, DATABASE_URL=database_url)
    made = _run(place.env, f"from tools.bench.flood import prepare; prepare({str(folder)!r}, {files})")
    done = _run(place.env, f"from tools.bench.flood import drive; drive({made!r}, {files})")
    found = len(list((folder / "ack" / "processed").iterdir()))
    if found != files:
        raise DidNotDoIt(f"{found} of {files} are in processed/")
    return msgspec.json.decode(done, type=Flood)


def _run(env: dict[str, str], code: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT, env=env, text=True, capture_output=True, timeout=MAX_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise DidNotDoIt(done.stderr[-500:])
    return done.stdout.split()[-1]


def prepare(folder: str, files: int) -> None:
    """Prints the connection's id."""
    from tests import factories  # noqa: PLC0415
    from tools.bench import ours  # noqa: PLC0415  # needs the settings of this process

    config = json.loads((Path(folder) / "own" / "config.json").read_text())
    connection = factories.connection(factories.org(), config)
    names = ours.sent_exports(connection, files)
    write_acks(Path(folder) / "ack", names)
    print(connection.pk)


def drive(connection_id: str, files: int) -> None:
    """Poll as the worker does, with time-limited polls, until nothing is left. Print a `Flood`."""
    from django.conf import settings  # noqa: PLC0415
    from django.db import connection as database  # noqa: PLC0415

    from erp_connectors.models import ERPExport  # noqa: PLC0415
    from erp_connectors.services.acks.poll import poll  # noqa: PLC0415
    from erp_connectors.states import ExportStatus  # noqa: PLC0415

    statements = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    before, started, lengths, more = _peak(), time.perf_counter(), [], True
    with database.execute_wrapper(count):
        while more:
            begun = time.perf_counter()
            report = poll(UUID(connection_id), seconds=settings.ACK_POLL_SECONDS)
            lengths.append(time.perf_counter() - begun)
            more = report.more
    seconds = time.perf_counter() - started
    acked = ERPExport.objects.filter(connection_id=UUID(connection_id), status=ExportStatus.ACKED).count()
    if acked != files:
        sys.exit(f"{acked} of {files} ACKED: {report.error}")
    print(
        msgspec.json.encode(Flood(seconds, len(lengths), max(lengths), statements, before, _peak())).decode()
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
