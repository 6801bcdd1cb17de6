"""Help needs no environment variable and changes nothing; real commands still need their secrets."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.deep

ROOT = Path(__file__).resolve().parents[2]
EACH = """
import io, sys
from contextlib import redirect_stdout
from django.core.management import get_commands
from orderflow.__main__ import main

sys.argv = ["manage.py", "help"]
with redirect_stdout(io.StringIO()) as shown:
    main()
assert "run_workers" in shown.getvalue()
for name in sorted(get_commands()):
    sys.argv = ["manage.py", name, "--help"]
    shown = io.StringIO()
    try:
        with redirect_stdout(shown):
            main()
    except SystemExit as end:
        assert not end.code, (name, end.code)
    assert f"usage: manage.py {name} " in shown.getvalue(), (name, shown.getvalue())
    print(name)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy, because a checkout contains its data folder."""
    folder = tmp_path_factory.mktemp("a checkout")
    for package in ("orderflow", "erp_connectors"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def run(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", *arguments],
        cwd=checkout, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def files(checkout: Path) -> list[tuple[str, int]]:
    return sorted((str(file), file.stat().st_mtime_ns) for file in checkout.rglob("*"))


@pytest.mark.parametrize("arguments", [[], ["--version"], ["validate_ack", "x", "--help"]], ids=" ".join)
def test_help_needs_no_environment_variable_and_writes_no_file(checkout, arguments):
    before = files(checkout)

    done = run(checkout, "manage.py", *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert files(checkout) == before


def test_each_command_has_help_without_an_environment_variable(checkout):
    before = files(checkout)

    done = run(checkout, "-c", EACH)

    assert done.returncode == 0, done.stderr
    assert {"migrate", "run_workers", "doctor"} <= {*done.stdout.split()}
    assert files(checkout) == before


def test_help_does_not_depend_on_invalid_values(checkout):
    broken = {"ORDERFLOW_ENV": "x", "SECRET_KEY": "short", "DATABASE_URL": "x", "ROW_LEVEL_SECURITY": "true"}

    done = run(checkout, "manage.py", "run_workers", "--help", **broken)

    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: manage.py run_workers" in done.stdout


@pytest.mark.parametrize("arguments", [["migrate"], ["push", "--", "--help"]], ids=" ".join)
def test_a_command_that_does_something_still_refuses_to_start_without_secrets(checkout, arguments):
    before = files(checkout)

    done = run(checkout, "manage.py", *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith("OrderFlow can't start: SECRET_KEY is not set.")
    assert done.stdout == ""
    assert files(checkout) == before
