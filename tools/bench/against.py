"""``python -m tools.bench.against COMMIT --case upload --peer none``: this checkout beside another commit, in turn.

Each round runs both with the same options, so that whatever else the machine does slows both. The other commit is
checked out below var/ and runs with the packages that are installed here. Its ERP gives the answers of this checkout.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.bench import answers
from tools.bench.measuring import OURS, Result, load

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "var" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.against", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=3)
    options, of_the_bench = parser.parse_known_args()
    here: dict[str, Result] = {}
    there: dict[str, Result] = {}
    with checked_out(options.commit) as other:
        same_answers(other)
        turns = [(other, there), (ROOT, here)]
        for number in range(options.rounds):
            # What changes while the bench runs slows both commits.
            for tree, results in turns if number % 2 == 0 else reversed(turns):
                collect(results, run(tree, [*of_the_bench, "--rounds", "1"]))
    print(f"\n| | this, s | {options.commit}, s | this to {options.commit} |\n|---|---:|---:|---:|")
    for line in ratios(here, there):
        print(line)


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="commit-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def same_answers(tree: Path) -> None:
    """Let the bench of that tree write the answers of this one, whose content decides how much work they are."""
    package = _package(tree)
    folder = tree.joinpath(*package.split("."))
    shutil.copy(answers.__file__, folder / "answers.py")
    # Earlier commits define the function there. The last definition counts.
    with (folder / "ours.py").open("a") as ours:
        ours.write(f"\n\nfrom {package}.answers import write_acks\n")


def run(tree: Path, options: Sequence[str]) -> list[Result]:
    """Return what the bench of that tree measured. Raises `SystemExit` with its output if it failed."""
    done = subprocess.run(
        [sys.executable, "-m", _package(tree), *options],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    paths = [Path(line) for line in done.stdout.splitlines() if line.endswith(".json")]
    if done.returncode or not paths:
        sys.exit(f"The bench of {tree} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    results = load(paths[0])
    paths[0].unlink()
    return results


def collect(known: dict[str, Result], results: Sequence[Result]) -> None:
    for result in results:
        seconds = known.setdefault(result.case, Result(result.case, result.title)).seconds
        for name, measured in result.seconds.items():
            seconds.setdefault(name, []).extend(measured)


def ratios(here: dict[str, Result], there: dict[str, Result]) -> Iterator[str]:
    """Yield a row for each of our own measurements that both results have."""
    for case, result in here.items():
        other = there.get(case, Result(case, result.title))
        ours = {OURS} if OURS in result.seconds else set(result.seconds)
        for name in sorted(ours & set(other.seconds)):
            mine, old = result.median(name), other.median(name)
            label = result.title if name == OURS else f"{result.title}: {name}"
            yield f"| {label} | {mine:.4g} | {old:.4g} | {mine / old:.2f} |"


def _package(tree: Path) -> str:
    # In earlier commits it is a package of its own.
    return "tools.bench" if (tree / "tools" / "bench").is_dir() else "bench"


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)


if __name__ == "__main__":
    main()
