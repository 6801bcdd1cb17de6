"""On a machine without the optional programs the suite passes: each test asks for a program before it starts it."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import parts

TESTS = Path(__file__).resolve().parent
STARTING = {"run", "Popen", "call", "check_call", "check_output", "start", "running"}
# Of Debian's base system; git and make are needed to get here.
ALWAYS_THERE = {"bash", "cp", "env", "getent", "git", "make", "mount", "setpriv", "sh", "umount"}


# The one place, and what watches it.
STARTS_PROGRAMS = {"servers/processes.py", "servers/orphans.py"}


def test_a_program_is_named_in_one_place_only() -> None:
    """It must not be looked up, or started by its bare name, without `require_program` or `find_program`."""
    found = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        if _function(call) == "which" or _program(call) not in {None, *ALWAYS_THERE}
    ]
    assert [where for where in found if not where.startswith("parts.py:")] == []


def test_only_one_module_starts_programs_that_go_on_running() -> None:
    found = [f"{path}:{call.lineno}" for path, call in calls() if _function(call) == "Popen"]
    assert {where.partition(":")[0] for where in found} == STARTS_PROGRAMS


def calls() -> Iterator[tuple[Path, ast.Call]]:
    """Yield each call in the modules that may start a program."""
    for path in sorted(TESTS.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if re.search(r"subprocess|shutil|servers.processes|tests.parts", source):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call):
                    yield path.relative_to(TESTS), node


def test_ci_installs_each_program_that_a_test_requires() -> None:
    script = (TESTS.parent / ".ci" / "run").read_text()
    required = {
        str(call.args[0].value)
        for _, call in calls()
        if _function(call) == "require_program" and call.args and isinstance(call.args[0], ast.Constant)
    }

    assert {"sshd", "curl"} <= required
    # ProFTPD brings ftpasswd, Dropbear brings dropbearkey.
    assert {name for name in required if f"\nneed {name} " not in script} <= {"ftpasswd", "dropbearkey"}


def test_a_program_that_says_not_how_to_get_it_is_refused() -> None:
    with pytest.raises(LookupError, match="frobnicate"):
        parts.find_program("frobnicate")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with ``jq`` and ``cat``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("jq", "cat"):
        (folder / name).write_text(f"#!/bin/sh\necho {name}\n")
        (folder / name).chmod(0o755)
    monkeypatch.delenv(parts.HIDE, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_hidden_programs_are_neither_found_nor_on_the_path(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parts.find_program("jq") == str(machine / "jq")
    (bare := tmp_path / "bare").mkdir()

    monkeypatch.setenv(parts.HIDE, "1")
    monkeypatch.setenv("PATH", parts.path_without_programs(bare))

    assert parts.find_program("jq") is None
    assert [path.name for path in bare.iterdir()] == ["cat"]
    said = subprocess.run([bare / "cat"], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert said.stdout == "cat\n"


def test_sshd_is_not_started_by_a_user_whose_account_is_locked(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each login would be refused: a user such as `nobody` can run the other tests."""
    for name in ("sshd", "getent"):
        (machine / name).write_text("#!/bin/sh\n")
        (machine / name).chmod(0o755)
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    assert parts.require_program("sshd") == str(machine / "sshd")

    (machine / "getent").write_text('#!/bin/sh\necho "$2:!*:::::::"\n')
    with pytest.raises(pytest.skip.Exception, match="account is locked"):
        parts.require_program("sshd")


MISSING = """
import pytest
from tests.parts import skip_or_fail

@pytest.fixture
def server():
    skip_or_fail("serverd", "apt install server")

def test_one(server): pass
def test_two(server): pass
def test_three(): skip_or_fail("serverd", "apt install server")
"""


@pytest.mark.deep
def test_the_summary_has_one_line_for_each_missing_program(tmp_path: Path) -> None:
    (tmp_path / "test_missing.py").write_text(MISSING)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "tests.parts",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    def summary(**environment: str) -> str:
        return subprocess.run(
            [*run, "-c", str(tmp_path / "pytest.ini"), str(tmp_path)],
            cwd=TESTS.parent, env={**kept, **environment}, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip

    said = [line for line in summary(REQUIRE_ALL="").splitlines() if line.startswith("SKIPPED")]
    assert len(said) == 1
    assert said[0].startswith("SKIPPED [3] ")
    assert said[0].endswith("serverd is missing; to run these tests: apt install server")
    assert "1 failed, 2 errors" in summary(REQUIRE_ALL="1")


def _function(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _program(call: ast.Call) -> str | None:
    """Return the program that this call starts, if the call names it."""
    if _function(call) in STARTING and call.args and isinstance(call.args[0], ast.List | ast.Tuple):
        first = next(iter(call.args[0].elts), None)
        if isinstance(first, ast.Constant):
            return str(first.value)
    return None
