"""Each stop of docs/code-tour.md exists in the file that it links, and an order passes the stops in their order."""

import ast
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from rest_framework.test import APIClient

from erp_connectors import tasks
from erp_connectors.models import ERPExport
from erp_connectors.states import ExportStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.jobs.processes import ROOT
from tests.servers.openssh import openssh_server

PAGE = ROOT / "docs" / "code-tour.md"
ROW = re.compile(r"^\| (\d*) ?\| `([\w.]+)` \| \[[\w/.]+\]\(([\w/.]+\.py)\) \|", re.MULTILINE)


def names(tree: ast.Module | ast.ClassDef, prefix: str = "") -> set[str]:
    """Return what a module or class defines; members of a class as `Class.member`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found.add(prefix + node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {node.name, *names(node, f"{node.name}.")}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_each_stop_exists():
    text = PAGE.read_text(encoding="utf-8")
    rows = ROW.findall(text)
    missing = []
    for _, name, link in rows:
        file = (PAGE.parent / link).resolve()
        if not file.is_file() or name not in names(ast.parse(file.read_text(encoding="utf-8"))):
            missing.append(f"{name} in {link}")

    assert missing == []
    # Each row of a table but its head must have the form that is checked.
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(lines) - 2 * sum(line.startswith("|---") for line in lines)


def test_the_stops_are_numbered():
    numbers = [int(number) for number, *_ in ROW.findall(PAGE.read_text(encoding="utf-8")) if number]

    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.deep
@pytest.mark.django_db(transaction=True)
def test_an_order_passes_the_stops_in_their_order(tmp_path):
    root = tmp_path / "root"
    for folder in (tmp_path / "sshd", root / "in", root / "ack"):
        folder.mkdir(parents=True)
    with openssh_server(root, tmp_path / "sshd") as server, calls_recorded() as calls:
        connection = factories.connection(
            factories.org(), {k: v for k, v in server.config().items() if v is not None}
        )
        order, client = factories.draft(connection.org), APIClient()
        client.force_authenticate(factories.user(connection.org, Role.OPS))
        calls.clear()

        client.post(f"/api/v1/draft-orders/{order.pk}/push", HTTP_IDEMPOTENCY_KEY="tour")
        tasks.deliver(str(connection.pk))
        answer = root / "ack" / f"ack_{ERPExport.objects.get().filename}"
        answer.write_text(json.dumps({"status": "ACKED", "erp_order_id": "SO-1"}))
        tasks.poll_due()
        tasks.poll_if_due(str(connection.pk))

    assert ERPExport.objects.get().status == ExportStatus.ACKED
    stops = [
        (str((PAGE.parent / link).resolve()), name)
        for number, name, link in ROW.findall(PAGE.read_text())
        if number
    ]
    # Tables of data are read, not called.
    functions = [(file, name) for file, name in stops if not name.isupper()]
    assert [stop for stop in functions if stop not in calls] == []
    assert functions == sorted(functions, key=calls.__getitem__)


@contextmanager
def calls_recorded() -> Iterator[dict[tuple[str, str], int]]:
    """Number the functions called in any thread by their first calls. A decorator's wrapper counts as the decorator."""
    calls: dict[tuple[str, str], int] = {}

    def record(frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT)):
            name = code.co_qualname.split(".<locals>")[0]
            calls.setdefault((code.co_filename, name), len(calls))

    threading.setprofile(record)
    sys.setprofile(record)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
