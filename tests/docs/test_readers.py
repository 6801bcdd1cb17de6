"""The readers that docs/erp.md offers, on orders that OrderFlow delivered, killed at any moment."""

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command

from erp_connectors.models import ERPExport
from erp_connectors.registry import connector_for
from erp_connectors.services.upkeep.contract import examine_ack
from erp_connectors.states import ExportStatus
from tests import factories
from tests.jobs.processes import ROOT
from tests.parts import find_program
from tests.servers.processes import running, start

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]
READERS = ROOT / "docs" / "readers"
POWERSHELL = find_program("pwsh")
# No Debian package has PowerShell, so it takes part where somebody installed it.
LANGUAGES = ["py", "sh", *(["ps1"] if POWERSHELL else [])]

# An ERP in a folder: an order it has seen gets the number it had then.
ERP = """
import json, os, sys, time, zlib
books, path = sys.argv[1], sys.argv[2]
order = json.load(open(path, encoding="utf-8"))
time.sleep(float(os.environ.get("THINKS", "0")))
said = order["header"]["notes"] or ""
if said.startswith("refuse"):
    print(said.removeprefix("refuse "))
    sys.exit(1)
if said.startswith("wait"):
    sys.exit(75)
entry = os.path.join(books, order["draft_order_id"])
with open(entry + ".imports", "a") as log:
    log.write("once\\n")
try:
    with open(entry, "x") as book:
        book.write("SO-%08d" % zlib.crc32(entry.encode()))
except FileExistsError:
    pass
print(open(entry).read())
"""


@dataclass
class Site:
    export: Path
    ack: Path
    books: Path
    reader: list[str]

    def command(self) -> list[str]:
        erp = self.books.parent / "erp.py"
        erp.write_text(ERP)
        return [*self.reader, str(self.export), str(self.ack), sys.executable, str(erp), str(self.books)]

    def read(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(), capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment},
        )  # fmt: skip

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock")


@pytest.fixture(params=LANGUAGES)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    interpreter = {"py": [sys.executable], "sh": ["bash"], "ps1": [POWERSHELL or "", "-File"]}[request.param]
    root = Path(settings.DROPZONE_ROOTS[0]) / uuid4().hex
    export, ack, books = root / "in", root / "out", tmp_path / "the ERP's books"
    for place in (export, ack, books):
        place.mkdir(parents=True)
    return Site(export, ack, books, [*interpreter, str(READERS / f"read_orders.{request.param}")])


def deliver(site: Site, *notes: str) -> list[ERPExport]:
    org = factories.org()
    config = {"mode": "filesystem", "export_path": str(site.export), "ack_path": str(site.ack)}
    factories.connection(org, config)
    for note in notes:
        call_command("push", str(factories.draft(org, notes=note).pk), verbosity=0)
    call_command("deliver")
    return list(ERPExport.objects.filter(org=org).order_by("created_at"))


def poll(exports: list[ERPExport]) -> list[ERPExport]:
    call_command("poll_acks")
    for export in exports:
        export.refresh_from_db()
    return exports


def test_what_it_answers_is_understood(site: Site) -> None:
    exports = deliver(site, "", 'refuse Kunde "4711" gesperrt, siehe C:\\erp\\müll', "")

    ran = site.read()

    assert (ran.returncode, ran.stderr) == (0, "")
    bought, refused, also = poll(exports)
    assert (bought.status, also.status, refused.status) == (
        ExportStatus.ACKED, ExportStatus.ACKED, ExportStatus.FAILED,
    )  # fmt: skip
    assert bought.erp_order_id == (site.books / str(bought.draft_order_id)).read_text()
    assert refused.error_json["params"]["message"] == 'Kunde "4711" gesperrt, siehe C:\\erp\\müll'
    assert site.names(site.export) == []


def test_its_answers_need_no_advice(site: Site) -> None:
    deliver(site, "", "refuse no")

    site.read()

    verdicts = [
        examine_ack(connector_for("DROPZONE_JSON_V1"), path.name, path.read_bytes())
        for path in site.ack.iterdir()
        if path.is_file()
    ]
    assert [(verdict.fine, verdict.advice) for verdict in verdicts] == [(True, ())] * 2


def test_what_is_not_whole_yet_and_what_is_no_order_stays(site: Site) -> None:
    for name in ("sales_order_1.json.1.tmp", "test_connection_20260101_100000.json", "notes.txt"):
        (site.export / name).write_text("{")
    before = site.names(site.export)

    assert site.read().returncode == 0
    assert site.names(site.export) == before


def test_an_order_that_has_to_wait_gets_its_answer_from_a_later_run(site: Site) -> None:
    (export,) = deliver(site, "wait")

    ran = site.read()

    assert (ran.returncode, site.names(site.ack)) == (1, [])
    assert export.filename in ran.stderr
    (taken,) = (site.export / "taken").glob("*.json")
    taken.write_text(taken.read_text().replace('"wait"', "null"))
    assert site.read().returncode == 0
    assert poll([export])[0].status == ExportStatus.ACKED


def test_a_second_one_ends_at_once(site: Site) -> None:
    exports = deliver(site, "", "")
    with running(site.command(), env={"PATH": "/usr/bin:/bin", "THINKS": "3"}) as first:
        wait_for(lambda: (site.export / "taken").is_dir() and len(site.names(site.export / "taken")) == 2)

        assert site.read().returncode == 0
        assert list(site.books.glob("*.imports")) == []
        first.wait(30)
    assert [export.status for export in poll(exports)] == [ExportStatus.ACKED] * 2


def test_killed_again_and_again_it_answers_each_order_with_one_number(site: Site) -> None:
    exports = deliver(site, *[""] * 8)
    moments = random.Random(7)
    for _ in range(8):
        reader = start(site.command(), env={"PATH": "/usr/bin:/bin", "THINKS": "0.05"})
        time.sleep(moments.uniform(0.02, 0.5))
        reader.kill()
        reader.wait()

    # A program that a killed run had started may hold the lock for a moment longer.
    wait_for(lambda: site.read().returncode == 0 and len(site.names(site.export / "done")) == 8)
    poll(exports)

    books = {path.name: path.read_text() for path in site.books.iterdir() if path.suffix != ".imports"}
    assert {str(export.draft_order_id): export.erp_order_id for export in exports} == books
    assert [export.status for export in exports] == [ExportStatus.ACKED] * 8
    assert site.names(site.export / "done") == sorted(export.filename for export in exports)


def test_without_folders_it_says_how_it_is_called(site: Site) -> None:
    ran = subprocess.run(
        site.reader, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )

    assert ran.returncode != 0
    if site.reader[-1].endswith(".ps1"):
        assert "ExportFolder" in ran.stderr
    else:
        assert "EXPORT_FOLDER ACK_FOLDER PROGRAM" in ran.stderr


def wait_for(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
