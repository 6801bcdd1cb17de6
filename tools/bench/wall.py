"""`python -m tools.bench.wall --exports 60000 --only search`: what row-level security costs, as a ratio.

Two databases of the same rows, one with policies; each read is asked of both in turn, so that whatever else the
machine does slows both.
"""

import argparse
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.wall")
    parser.add_argument("--exports", type=int, default=50_000)
    parser.add_argument("--only", default="", metavar="TEXT", help="only reads whose name contains it")
    parser.add_argument("--times", type=int, default=40, help="requests for each read and database")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        from tests.servers.postgres import migrated_server  # noqa: PLC0415  # makes no world of its own

        url = stack.enter_context(migrated_server(folder / "postgres", durable=True))
        _prepare(folder, url)
        from django.db import connections  # noqa: PLC0415  # needs the settings

        stack.callback(connections.close_all)
        from orderflow.tenancy import scope  # noqa: PLC0415

        with scope.everything():
            _compare(options, folder)


def _prepare(folder: Path, url: str) -> None:
    os.environ |= {
        "ORDERFLOW_ENV": "development",
        "DATABASE_URL": url,
        "VAR_DIR": str(folder / "var"),
        "DROPZONE_ROOTS": str(folder),
        "DJANGO_SETTINGS_MODULE": "orderflow.settings",
        "LOG_LEVEL": "ERROR",
    }
    import django  # noqa: PLC0415

    django.setup()


def _compare(options: argparse.Namespace, folder: Path) -> None:
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import override_settings  # noqa: PLC0415

    from tools.bench import read_world, reads  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    largest = read_world.fill(options.exports, str(folder))[0]
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        client = reads.client_of(largest)
        asked = [read for read in reads.reads(largest, client) if options.only in read.name]
        ratios = []
        with _both() as sides:
            for read in asked:
                seconds = _in_turn(client, read.paths, sides, times=options.times)
                without, behind = (statistics.median(one) for one in seconds)
                ratios.append(behind / without)
                print(
                    f"{read.name:60} {without * 1000:7.1f} ms {behind * 1000:7.1f} ms {ratios[-1]:5.2f}",
                    flush=True,
                )
    print(f"median of {len(ratios)} reads: {statistics.median(ratios):.2f}; largest: {max(ratios):.2f}")


@contextmanager
def _both() -> Iterator[list[Any]]:
    """The program's connection, as a role that owns nothing, to either database."""
    from django.db import connections  # noqa: PLC0415
    from django.db.backends.postgresql.base import DatabaseWrapper as Plain  # noqa: PLC0415

    from orderflow.tenancy.postgresql.base import DatabaseWrapper as Walled  # noqa: PLC0415
    from orderflow.tenancy.rls import install  # noqa: PLC0415

    owner, password = connections["default"], secrets.token_hex(16)
    with owner.cursor() as cursor:
        cursor.execute(f"CREATE ROLE app LOGIN PASSWORD '{password}'")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app")
        cursor.execute("CREATE DATABASE walled TEMPLATE template0")
    _copy(owner, "walled")
    as_app = {**owner.settings_dict, "USER": "app", "PASSWORD": password}
    on_it = Plain({**owner.settings_dict, "NAME": "walled"}, "default")
    install.apply(on_it)
    for one in (owner, on_it):
        with one.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    on_it.close()
    sides: list[Any] = [Plain(as_app, "default"), Walled({**as_app, "NAME": "walled"}, "default")]
    yield sides
    for one in sides:
        one.close()
    connections["default"] = owner


def _copy(owner: Any, name: str) -> None:
    """Copy a database with the server's own programs: a database in use can't be a template."""
    import subprocess  # noqa: PLC0415

    from tests.servers.postgres import program_path  # noqa: PLC0415

    known = owner.settings_dict
    place = f"postgres://{known['USER']}:{known['PASSWORD']}@{known['HOST']}:{known['PORT']}"
    dump = subprocess.Popen([program_path("pg_dump"), f"{place}/{known['NAME']}"], stdout=subprocess.PIPE)
    subprocess.run(
        [program_path("psql"), "-q", "-o", os.devnull, f"{place}/{name}"], stdin=dump.stdout, check=True
    )


def _in_turn(client: Any, paths: list[str], sides: list[Any], *, times: int) -> list[list[float]]:
    from django.db import connections  # noqa: PLC0415

    seconds: list[list[float]] = [[], []]
    for n in range(times):
        for side, took in zip(sides, seconds, strict=True):
            connections["default"] = side
            began = time.perf_counter()
            answer = client.get(f"/api/v1/{paths[n % len(paths)]}")
            b"".join(answer) if answer.streaming else answer.content
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200, (paths, answer.status_code)
    return seconds


if __name__ == "__main__":
    main()
