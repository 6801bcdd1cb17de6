"""Prepares the world that Django's settings read, before pytest-django loads them.

`--database=sqlite` (default) or `--database=postgres`: TEST_DATABASE_URL, or else a private server for this run.
`--wall`: with ROW_LEVEL_SECURITY, as a role that policies bind.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

_VAR = Path(__file__).resolve().parent.parent / "var" / "tests"
_IN_WORKER = "PYTEST_XDIST_WORKER"
_THE_SAME_ON_EVERY_DATABASE = (
    "tests/conformance/",
    "tests/connectors/",
    "tests/faults/",
    "tests/leaks/test_folders_and_commands.py",
    "tests/leaks/test_processes.py",
    "tests/leaks/test_receivers.py",
    "tests/leaks/test_servers.py",
    "tests/fuzz/test_keys.py",
    "tests/fuzz/test_names.py",
    "tests/fuzz/test_parsers.py",
    "tests/servers/",
    "tests/sftp/",
    "tests/commands/test_demo.py",
    "tests/jobs/test_killed_workers.py",
    "tests/jobs/test_supervisor.py",
    "tests/test_supply.py",
)


# These put a wall up themselves, or make roles.
_WITHOUT_THE_WALL = ("tests/tenancy/", "tests/orderflow/test_audit_triggers.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ("sqlite", "postgres")
    parser.addoption("--database", choices=choices, default="sqlite", help="what the tests keep rows in")
    parser.addoption(
        "--wall",
        action="store_true",
        help="with ROW_LEVEL_SECURITY; needs --database=postgres and its own server",
    )
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="where the pictures of the admin's story are kept"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    if _IN_WORKER not in os.environ:  # workers inherit what the controller prepared
        world = ExitStack()
        early_config.add_cleanup(world.close)
        chosen = early_config.known_args_namespace
        _prepare(world, chosen.database, wall=chosen.wall)
    done = yield
    # pytest-django loaded tests.settings and exported the name. The programs that tests start are the product.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    return done


def pytest_configure() -> None:
    from tests import flushing  # noqa: PLC0415  # after the world is prepared

    flushing.install()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What keeps no rows, or brings a database of its own, has nothing new to say on a second one."""
    if config.getoption("database") == "postgres":
        pointless = [item for item in items if item.nodeid.startswith(_THE_SAME_ON_EVERY_DATABASE)]
    else:
        pointless = [item for item in items if item.get_closest_marker("postgres_only")]
    if config.getoption("wall"):
        pointless += [item for item in items if item.nodeid.startswith(_WITHOUT_THE_WALL)]
    config.hook.pytest_deselected(items=pointless)
    items[:] = [item for item in items if item not in set(pointless)]


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('database')}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the crash matrix counted: its cells, and what became of the orders in them."""
    counts: Counter[str] = Counter()
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        if report.when == "call" and "tests/crash/" in report.nodeid:
            for name, number in report.user_properties:
                counts[name] += int(str(number))
    if counts:
        terminalreporter.write_line(
            "crash matrix: " + ", ".join(f"{number} {name}" for name, number in counts.items())
        )


def _prepare(world: ExitStack, database: str, *, wall: bool) -> None:
    run = _VAR / f"run-{secrets.token_hex(4)}"
    run.mkdir(parents=True)
    world.callback(shutil.rmtree, run, ignore_errors=True)
    # A space in every test's folder, since a user's clone may lie in such a one.
    kept, temporary, home = _VAR / "last runs", run / "tmp", run / "home"
    for folder in (kept, temporary, home):
        folder.mkdir(exist_ok=True)
    for name in [*_LEAKS, *(name for name in os.environ if name.startswith(("S3_", "SFTP_")))]:
        os.environ.pop(name, None)
    os.environ |= {
        "ORDERFLOW_ENV": "development",
        "SECRET_KEY": secrets.token_hex(32),
        "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
        "VAR_DIR": str(run),
        "TMPDIR": str(temporary),
        "HOME": str(home),  # nobody's ~/.ssh or ~/.aws decides a test
        "HYPOTHESIS_STORAGE_DIRECTORY": str(_VAR / "hypothesis"),
        "PYTEST_DEBUG_TEMPROOT": str(kept),  # tmp_path of the last three runs, for looking at
    }
    if database == "postgres":
        url = _postgres(world, run)
        os.environ["DATABASE_URL"] = _bound_role(url) if wall else url
        os.environ["ROW_LEVEL_SECURITY"] = str(wall)


# The tests decide these; a developer's own values must not reach them.
_LEAKS = [
    "DJANGO_SETTINGS_MODULE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "DATABASE_URL",
    "ROW_LEVEL_SECURITY",
    "DEBUG",
    "ALLOWED_HOSTS",
    "ENCRYPTION_PREVIOUS_KEYS",
    "DROPZONE_ROOTS",
    "ARCHIVE_DIR",
]


def _bound_role(url: str) -> str:
    """It owns the tests' database, to make and empty it, and is bound all the same."""
    import psycopg  # noqa: PLC0415  # not needed on SQLite

    password = secrets.token_hex(16)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE ROLE walled LOGIN CREATEDB PASSWORD '{password}'")
    parts = urlsplit(url)
    return parts._replace(netloc=f"walled:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def _postgres(world: ExitStack, run: Path) -> str:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    from tests.servers.postgres import postgres_server  # noqa: PLC0415  # not needed on SQLite

    return world.enter_context(postgres_server(run / "postgres"))
