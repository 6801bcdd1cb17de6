"""One name for one concept: no two classes share a name that says little, and there is one function for a duration."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("orderflow", "erp_connectors", "tools", "fixtures")
ONCE = {"Answer", "Finding", "Kind", "Line", "Outcome", "AckableState", "Tone", "Verdict", "duration"}


def definitions():
    """Where each top-level class and function is defined."""
    found = defaultdict(list)
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name].append(path.relative_to(ROOT).as_posix())
    return found


def test_these_names_are_defined_once():
    found = definitions()

    assert {name: found[name] for name in ONCE if len(found[name]) > 1} == {}
