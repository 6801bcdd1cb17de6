"""Prepare the environment that Django's settings read, before pytest-django loads them, and choose the items of a run.

`--database=sqlite` (default) or `--database=postgres`: TEST_DATABASE_URL, or else a private server for this run. On
PostgreSQL the tests run behind row-level security, as a role that policies bind.
`--tier=everyday`, `--tier=deep` or `--tier=all` (default): see `tests/tiers.py`.
"""

import gc
import os
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import timeouts
from tests.parts import HIDE, path_without_programs
from tests.parts import pytest_runtest_makereport as pytest_runtest_makereport
from tests.servers import templates
from tests.tiers import (
    TIERS,
    is_deep_throughout,
    is_everyday_throughout,
    is_in,
    may_differ_on_postgres,
    tier_of,
)

# Otherwise each process that a test starts compiles all our modules again: one or two seconds of CPU.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_VAR = Path(__file__).resolve().parent.parent / "var" / "tests"
_IN_WORKER = "PYTEST_XDIST_WORKER"
COLLECTED = pytest.StashKey[list[pytest.Item]]()  # all items, also those of other tiers
SUPERUSER_URL = "TESTS_SUPERUSER_URL"  # on PostgreSQL: for tests of what the bound role may not do


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ("sqlite", "postgres")
    parser.addoption("--database", choices=choices, default="sqlite", help="what the tests keep rows in")
    parser.addoption("--tier", choices=TIERS, default="all", help="which items run; see tests/tiers.py")
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="where the pictures of the admin's story are kept"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    gc.disable()  # imports make millions of objects that stay
    if _IN_WORKER not in os.environ:  # workers inherit what the controller prepared
        world = ExitStack()
        early_config.add_cleanup(world.close)
        _prepare(world, early_config.known_args_namespace.database)
    done = yield
    # pytest-django loaded tests.settings and exported the name. The programs that tests start are the product.
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    return done


def pytest_configure(config: pytest.Config) -> None:
    from tests import databases, hypothesis_profiles  # noqa: PLC0415  # after the environment is prepared

    databases.install()
    hypothesis_profiles.load(config.getoption("database"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that have no item in this run: their imports take seconds."""
    if collection_path.suffix != ".py":
        return None
    match config.getoption("tier"), config.getoption("database"):
        case "everyday", "postgres":
            left_out = is_deep_throughout(collection_path) or not may_differ_on_postgres(collection_path)
        case "everyday", _:
            left_out = is_deep_throughout(collection_path)
        case "deep", "sqlite":
            left_out = is_everyday_throughout(collection_path)
        case _:
            left_out = False
    return left_out or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """End the set-up, during which no garbage is collected, and exempt what it made from later collections."""
    done = yield
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 50)  # the default takes 3 % of the CPU time
    return done


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[COLLECTED] = list(items)
    database, wanted = config.getoption("database"), config.getoption("tier")
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (chosen if is_in(tier_of(item, database), wanted) else others).append(item)
    config.hook.pytest_deselected(items=others)
    # Several processes end at about the same time if the last items are short.
    items[:] = sorted(chosen, key=_time_allowed, reverse=True) if _IN_WORKER in os.environ else chosen


def _time_allowed(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import ByExpensiveParts  # noqa: PLC0415  # xdist is not needed to run in one process

    return ByExpensiveParts(config, log)


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    timeouts.start(item, settings.timeout)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    timeouts.stop(item)
    return True


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.getoption('database')}, tier: {config.getoption('tier')}"


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


def _prepare(world: ExitStack, database: str) -> None:
    run = _VAR / f"run-{secrets.token_hex(4)}"
    run.mkdir(parents=True)
    # Beside the run's folder, where tests look for whatever the product has written.
    made = run.with_name(f"{run.name}-templates")
    for folder in (run, made):
        world.callback(shutil.rmtree, folder, ignore_errors=True)
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
        templates.FOLDER: os.environ.get(templates.FOLDER, str(made)),
        "PYTEST_DEBUG_TEMPROOT": str(kept),  # tmp_path of the last three runs, for looking at
    }
    if os.environ.get(HIDE) == "1":
        (run / "bin").mkdir()
        os.environ["PATH"] = path_without_programs(run / "bin")
    if database == "postgres":
        os.environ[SUPERUSER_URL] = url = _postgres(world, run)
        os.environ["DATABASE_URL"] = _bound_role(url)
        os.environ["ROW_LEVEL_SECURITY"] = "true"


# The tests decide these; a developer's own values must not reach them.
_LEAKS = [
    "DJANGO_SETTINGS_MODULE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "DATABASE_URL",
    "ROW_LEVEL_SECURITY",
    "DATABASE_APP_ROLE",
    "DEBUG",
    "ALLOWED_HOSTS",
    "ENCRYPTION_PREVIOUS_KEYS",
    "DROPZONE_ROOTS",
    "ARCHIVE_DIR",
]


def _bound_role(url: str) -> str:
    """Create a role that owns the tests' database and makes roles, and that policies bind all the same."""
    import psycopg  # noqa: PLC0415  # not needed on SQLite

    name, password = f"tests_{secrets.token_hex(4)}", secrets.token_hex(16)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE ROLE {name} LOGIN CREATEDB CREATEROLE PASSWORD '{password}'")
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


def _postgres(world: ExitStack, run: Path) -> str:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    from tests.servers.postgres import postgres_server  # noqa: PLC0415  # not needed on SQLite

    return world.enter_context(postgres_server(run / "postgres", autovacuum=False))
