"""``make bench``: everything, or ``ARGS="--case upload --round-trip 50 --rounds 3"``, or ``ARGS=--quick``."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import django

from tests.parts import find_program
from tools.bench import measuring, peers, report, world
from tools.bench.answers import write_acks
from tools.bench.measuring import OURS, Result, Run, take_turns
from tools.bench.world import World

ROOT = Path(__file__).resolve().parents[2]
PAGE, IMAGES, KEPT = ROOT / "docs" / "performance.md", ROOT / "docs" / "images", ROOT / "var" / "bench"
SIZE = 20_000
SLOW = (peers.PER_FILE, "paramiko, file by file", "OpenSSH sftp -b", "lftp, 1 connections")


def main() -> None:
    options = _options()
    if options.show:
        return _show([one for path in options.show for one in measuring.load(path)], write=options.write)
    for program in peers.missing():
        print(f"{program} is not installed: it will not be compared.")
    if find_program("sshd") is None:
        sys.exit("make bench needs an OpenSSH server: apt install openssh-server")
    KEPT.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    with ExitStack() as stack:
        # If a case fails, the results of the earlier cases are saved.
        stack.callback(lambda: print(f"\n{measuring.save(results, KEPT)}") if results else None)
        # A space in each path, since a user's clone may have one.
        temporary = tempfile.TemporaryDirectory(dir=KEPT, prefix="one run ", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        from tests.servers.postgres import migrated_server  # noqa: PLC0415  # not needed to print the help

        url = stack.enter_context(migrated_server(folder / "postgres", durable=True))
        world.prepare_django(folder, url)
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415
        from django.db import connections  # noqa: PLC0415

        # PostgreSQL stops only after all connections are closed.
        stack.callback(connections.close_all)
        call_command("migrate", verbosity=0)
        place = stack.enter_context(world.running_world(folder / "sftp", sorted({0, *options.round_trip})))
        for result in _cases(place, options, url):
            results.append(result)  # noqa: PERF402  # one by one: see above
    return _show(results, write=options.write)


def _show(results: list[Result], *, write: bool) -> None:
    for result in results:
        print("\n" + report.table(result))
    if write:
        report.write(results, PAGE)
        for result in results:
            if result.case in ("upload-200-50", "acks-200-50"):
                report.bars(result, IMAGES / f"bench-{result.case}.svg")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--case", action="append", choices=list(CASES), help="default: all")
    parser.add_argument("--files", type=int, action="append", help="uploads; default 1, 200 and 2000")
    parser.add_argument("--round-trip", type=int, action="append", help="ms; default 0, 20 and 50")
    parser.add_argument("--peer", action="append", metavar="TEXT", help="only those whose name contains it")
    parser.add_argument("--exports", type=int, help="of reads and pages; default 200000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a minute: few files, one round, no delay")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    parser.add_argument(
        "--show", type=Path, action="append", metavar="JSON", help="measure nothing: an earlier run's results"
    )
    options = parser.parse_args()
    options.case = options.case or list(CASES)
    options.files = options.files or ([1, 20] if options.quick else [1, 200, 2000])
    options.round_trip = options.round_trip or ([0] if options.quick else [0, 20, 50])
    options.exports = options.exports or (2_000 if options.quick else 200_000)
    options.rounds = 1 if options.quick else options.rounds
    return options


def _cases(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    for name in options.case:
        yield from CASES[name](place, options, url)


def _uploads(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import ours  # noqa: PLC0415  # needs Django's settings

    for how_many in options.files:
        source = place.files(how_many, SIZE)
        for ms in options.round_trip:
            contenders: dict[str, Run] = {OURS: ours.uploads(place, ms, source)}
            contenders |= _wanted(peers.uploads(place, ms, source), options)
            slow = () if how_many <= 200 else SLOW if ms else SLOW[:1]
            yield _compare(
                f"upload-{how_many}-{ms}",
                f"{how_many} file{'s' * (how_many > 1)} of 20 KB, {ms} ms round trip",
                contenders,
                slow,
                rounds=options.rounds,
            )


def _big_file(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import ours  # noqa: PLC0415

    megabytes = 1 if options.quick else 10
    source = place.files(1, megabytes * 1_000_000)
    for ms in options.round_trip:
        contenders: dict[str, Run] = {OURS: ours.uploads(place, ms, source)}
        contenders |= _wanted(peers.uploads(place, ms, source), options)
        title = f"One file of {megabytes} MB, {ms} ms round trip"
        # With one file, a connection per file is what `file by file` does.
        yield _compare(f"big-{ms}", title, contenders, SLOW[:1], rounds=options.rounds)


def _acks(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import ours  # noqa: PLC0415

    for how_many in (20,) if options.quick else (200, 10_000):
        names = [f"sales_order_{n:08x}_20261123_100000_{n:08x}.json" for n in range(how_many)]
        for ms in options.round_trip:
            contenders: dict[str, Run] = {OURS: ours.acks(place, ms, how_many)}
            readers = peers.ack_readers(place, ms, lambda folder, n=names: write_acks(folder, n))  # type: ignore[misc]
            contenders |= _wanted(readers, options)
            everybody = tuple(name for name in contenders if name != OURS)
            yield _compare(
                f"acks-{how_many}-{ms}",
                f"{how_many} acks read, decided and moved, {ms} ms round trip",
                contenders,
                () if how_many <= 200 else everybody if ms else SLOW,
                rounds=options.rounds if how_many <= 200 else 1,
            )


def _flood(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench.flood import flood  # noqa: PLC0415

    how_many = 200 if options.quick else 100_000
    for ms in options.round_trip[:1]:
        found = flood(place, _new_database(url, f"flood{ms}"), files=how_many, ms=ms)
        result = Result(f"flood-{ms}", f"{how_many} acks that wait, {ms} ms round trip")
        result.seconds = {OURS: [found.seconds]}
        result.notes = [found.told()]
        yield result


def _idle(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import ours  # noqa: PLC0415

    for ms in options.round_trip:
        polls = [ours.idle_polls(place, ms) for _ in range(options.rounds)]
        result = Result(f"idle-{ms}", f"A poll of a quiet folder, {ms} ms round trip")
        kept, new = "kept session", "connecting first"
        result.seconds = {kept: [seconds for _, seconds in polls], new: [seconds for seconds, _ in polls]}
        result.baseline = kept
        if ms:
            trips = {name: result.median(name) * 1000 / ms for name in (kept, new)}
            result.notes = [f"In round trips: {trips[kept]:.1f} kept, {trips[new]:.1f} connecting first."]
        yield result


def _growth(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import ours  # noqa: PLC0415

    result = Result("growth", "Push to ACKED, one process, PostgreSQL: seconds per order by orders queued")
    sizes = (20, 100) if options.quick else (100, 1_000, 10_000)
    ours.new_queue(place, sizes[0]).work_off()
    for how_many in sizes:
        queues = [ours.new_queue(place, how_many) for _ in range(options.rounds if how_many < 10_000 else 1)]
        runs = [queue.work_off() / how_many for queue in queues]
        result.seconds[f"{how_many} orders"] = runs
        print(f"  {how_many:6} orders {min(runs) * 1000:8.2f} ms each", flush=True)
    spent = ours.shares(place, sizes[1])
    total = sum(spent.values())
    parts = sorted(spent.items(), key=lambda item: -item[1])
    result.notes = ["Of it: " + ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in parts) + "."]
    result.baseline = f"{sizes[0]} orders"
    yield result


def _end_to_end(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import endtoend  # noqa: PLC0415

    orders = endtoend.real_orders(ROOT.parent)
    orders = orders[:100] if options.quick else orders
    result = Result(
        "end-to-end", f"{len(orders)} orders from push to ACKED, loopback SFTP: seconds per order"
    )
    for number, (database, workers) in enumerate(
        product(("SQLite", "PostgreSQL"), (2,) if options.quick else (1, 2, 4))
    ):
        name = f"{database}, {workers} workers"
        for turn in range(options.rounds):
            own = _new_database(url, f"run{number}_{turn}") if database == "PostgreSQL" else ""
            rate = endtoend.orders_per_second(place, own, workers=workers, orders=orders)
            print(f"  {name:24} {rate:8.1f} orders/s", flush=True)
            result.seconds.setdefault(name, []).append(1 / rate)
    result.baseline = "PostgreSQL, 2 workers"
    result.notes = [f"{name}: {1 / result.median(name):.0f} orders/s." for name in result.seconds]
    yield result


def _reads(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import reads  # noqa: PLC0415

    yield reads.measure(options.exports, place.folder / "reads", times=3 if options.quick else reads.TIMES)


def _pages(place: World, options: argparse.Namespace, url: str) -> Iterator[Result]:
    from tools.bench import pages  # noqa: PLC0415

    yield pages.measure(options.exports, place.folder / "pages", times=3 if options.quick else pages.TIMES)


def _new_database(url: str, name: str) -> str:
    import psycopg  # noqa: PLC0415

    from tests.servers.postgres import MIGRATED  # noqa: PLC0415

    with psycopg.connect(url.replace("postgres://", "postgresql://"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {MIGRATED}".encode())
    return f"{url.rpartition('/')[0]}/{name}"


def _wanted(runs: dict[str, Run], options: argparse.Namespace) -> dict[str, Run]:
    return {name: run for name, run in runs.items() if any(word in name for word in options.peer or [""])}


def _compare(
    case: str, title: str, contenders: dict[str, Run], slow: tuple[str, ...], *, rounds: int
) -> Result:
    result = take_turns(
        case, title, {n: run for n, run in contenders.items() if n not in slow}, rounds=rounds
    )
    left_out = [name for name in contenders if name in slow]
    if left_out:
        result.notes.append(f"Left out, as they would take too long: {'; '.join(left_out)}.")
    return result


CASES: dict[str, Callable[[World, argparse.Namespace, str], Iterator[Result]]] = {
    "upload": _uploads,
    "big": _big_file,
    "acks": _acks,
    "flood": _flood,
    "idle": _idle,
    "growth": _growth,
    "end-to-end": _end_to_end,
    "reads": _reads,
    "pages": _pages,
}

if __name__ == "__main__":
    main()
