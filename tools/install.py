"""Install a lock file into a virtual environment: `python -I install.py VENV LOCK`.

Do nothing if the environment was made by this Python from a lock of the same content. File times do not count, since
a checkout or a copy of the tree changes them. Runs before any package is there: the standard library only.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

# Packages of one Python do not work with another version, nor after it was removed.
_IDENTITY = "import sys; print(sys.implementation.cache_tag, sys.abiflags, sys.base_prefix)"


def main(venv: Path, lock: Path) -> None:
    stamp, python = venv / ".installed", venv / "bin" / "python"
    ours = _output(sys.executable, "-I", "-S", "-c", _IDENTITY)
    same_python = _output(python, "-I", "-S", "-c", _IDENTITY) == ours
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {ours}"
    if same_python and _read(stamp) == wanted:
        return
    print(f"Installing {lock} into {venv}, once: minutes without output.", flush=True)
    stamp.unlink(missing_ok=True)
    if not (same_python and _output(python, "-m", "pip", "--version")):
        _run(
            "Could not make the virtual environment; on Debian: apt install python3-venv",
            sys.executable, "-m", "venv", "--clear", venv,
        )  # fmt: skip
    _run(
        f"Could not install {lock}.",
        python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock,
    )  # fmt: skip
    stamp.write_text(wanted, encoding="utf-8")


def _output(*command: str | Path) -> str:
    """Return what the command prints; nothing if it cannot be run or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _run(failure: str, *command: str | Path) -> None:
    if subprocess.run(command, check=False).returncode:
        sys.exit(failure)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
