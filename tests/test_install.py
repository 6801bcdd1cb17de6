"""`make install`: pip runs if the lock file or the Python changed, and not otherwise."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.deep
ROOT = Path(__file__).resolve().parent.parent


def without_make() -> dict[str, str]:
    """The environment without what a `make` that runs these tests says to those that it starts."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


class Tree:
    """A copy of what `make install` needs, with a lock of one package."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.stamp = folder / ".venv/.installed"

    def lock(self, version: str) -> None:
        name = f"parcel-{version}-py3-none-any.whl"
        info = f"parcel-{version}.dist-info"
        with zipfile.ZipFile(self.folder / name, "w") as wheel:
            wheel.writestr("parcel.py", f"VERSION = {version!r}")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: parcel\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        digest = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
        (self.folder / "requirements-dev.txt").write_text(f"./{name} --hash=sha256:{digest}\n")

    def install(self) -> str:
        done = subprocess.run(
            ["make", "install"],
            cwd=self.folder, env=without_make(), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def installed(self) -> str:
        python = self.folder / ".venv/bin/python"
        code = "import parcel; print(parcel.VERSION)"
        return subprocess.check_output([python, "-c", code], text=True).strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tree after its first `make install`."""
    folder = tmp_path_factory.mktemp("install") / "a clone"
    (folder / "tools").mkdir(parents=True)
    for name in ("Makefile", "tools/install.py"):
        shutil.copy(ROOT / name, folder / name)
    tree = Tree(folder)
    tree.lock("1.0")
    assert "Installing" in tree.install()
    assert tree.installed() == "1.0"
    return tree


@pytest.fixture
def tree(installed, tmp_path):
    return Tree(shutil.copytree(installed.folder, tmp_path / "a clone", symlinks=True))


def test_pip_runs_for_a_changed_lock_and_not_for_changed_file_times(tree):
    assert tree.install() == ""
    for file in [*tree.folder.glob("*"), *tree.folder.glob("tools/*"), tree.folder / "requirements-dev.txt"]:
        file.touch()
    assert tree.install() == ""

    copy = Tree(tree.folder.with_name("a copy"))
    shutil.copytree(tree.folder, copy.folder, symlinks=True, copy_function=shutil.copyfile)
    for program in (copy.folder / ".venv/bin").iterdir():
        program.chmod(0o755)
    assert copy.install() == ""
    assert copy.installed() == "1.0"

    tree.lock("2.0")
    assert "Installing" in tree.install()
    assert tree.installed() == "2.0"
    assert tree.install() == ""


def test_a_failed_installation_is_tried_again(tree):
    lock = tree.folder / "requirements-dev.txt"
    tree.lock("2.0")
    whole = lock.read_text()
    lock.write_text(whole + f"./missing-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}\n")
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"Could not install requirements-dev\.txt"):
            tree.install()

    lock.write_text(whole)
    assert "Installing" in tree.install()
    assert tree.installed() == "2.0"


def test_a_virtual_environment_whose_python_was_removed_is_made_again(tree):
    for program in (tree.folder / ".venv/bin").glob("python*"):
        program.unlink()
        program.symlink_to("/nowhere/python3")

    assert "Installing" in tree.install()
    assert tree.installed() == "1.0"


def test_a_virtual_environment_of_another_python_is_made_again(tree):
    other = next((found for found in map(base_prefix, others()) if found[1] != sys.base_prefix), None)
    if other is None:
        pytest.skip("there is one Python only; any second one will do")
    shutil.rmtree(tree.folder / ".venv")
    subprocess.run([other[0], "-m", "venv", "--without-pip", tree.folder / ".venv"], check=True)
    left_behind = tree.folder / ".venv/left-behind"
    left_behind.touch()

    assert "Installing" in tree.install(), other
    assert tree.installed() == "1.0"
    assert not left_behind.exists()


def others() -> Iterator[Path]:
    folders = [*os.environ["PATH"].split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    for folder in map(Path, folders):
        yield from (python for minor in range(11, 15) if (python := folder / f"python3.{minor}").exists())


def base_prefix(python: Path) -> tuple[Path, str]:
    code = "import sys, venv; print(sys.base_prefix)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return python, done.stdout.strip() or sys.base_prefix
