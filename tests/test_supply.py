"""What production installs is pinned, listed and looked up; and where it can't be looked up, nobody says it was."""

import json
import re
import runpy
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orderflow import __version__
from tests.parts import skip_or_fail

pytestmark = pytest.mark.deep

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-audit.txt"]
BLOCK = re.compile(r"^(\S+)==([^\s;]+).*((?:\n    --hash=sha256:\S+.*)*)", re.MULTILINE)
ADVISORY = {
    "id": "GHSA-x",
    "aliases": ["CVE-2026-1"],
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "paramiko", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


def pinned(lock="requirements.txt"):
    """Name to version and hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        name: (version, set(re.findall(r"sha256:(\w{64})", rest)))
        for name, version, rest in BLOCK.findall(text)
    }


@pytest.fixture(scope="module")
def tools():
    """A virtualenv of their own, which only `make audit` and `make sbom` make."""
    if not (ROOT / ".cache/audit/.installed").exists():
        skip_or_fail("what `make audit` runs", "make .cache/audit/.installed")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    starts = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]

    assert len(pinned(lock)) == len(starts) > 10
    assert [name for name, (_, hashes) in pinned(lock).items() if not hashes] == []
    assert "://" not in text


def test_what_audits_is_not_among_what_is_audited():
    assert not {"pip-audit", "cyclonedx-bom"} & (pinned().keys() | pinned("requirements-dev.txt").keys())


def test_tests_run_with_the_versions_that_production_gets():
    development = pinned("requirements-dev.txt")

    assert {name: development.get(name) for name in pinned()} == pinned()


@pytest.fixture(scope="module")
def twice(tools, tmp_path_factory):
    """The list of packages, made two times."""

    def make(number):
        made = tmp_path_factory.mktemp("sbom") / f"list {number}.json"
        up_to_date = ["-o", ".venv/.installed", "-o", ".cache/audit/.installed"]
        subprocess.run(["make", *up_to_date, "sbom", f"SBOM={made}"], cwd=ROOT, check=True, timeout=60)
        return made.read_bytes()

    return make(1), make(2)


def test_the_list_names_every_package_with_version_purl_and_hashes_and_nothing_else(twice):
    bom = json.loads(twice[0])

    listed = {}
    for part in bom["components"]:
        hashes = {one["content"] for ref in part["externalReferences"] for one in ref.get("hashes", [])}
        listed[part["name"]] = (part["version"], hashes)
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
    assert (bom["bomFormat"], bom["specVersion"], len(bom["components"])) == ("CycloneDX", "1.6", len(listed))
    assert listed == pinned()
    of = bom["metadata"]["component"]
    assert (of["name"], of["version"]) == ("orderflow-erp-dropzone", __version__)


def test_the_list_is_the_same_bytes_each_time_and_names_no_machine(twice):
    first, second = twice

    assert first == second
    assert str(ROOT).encode() not in first
    assert b'"serialNumber"' not in first
    assert b'"timestamp"' not in first


@contextmanager
def mirror(answer, status=200):
    """An OSV mirror: ``answer`` makes of a package's name what it says."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((query["package"]["name"], query["version"]))
            body = json.dumps(answer(query["package"]["name"])).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query", asked
        server.shutdown()


def audit(*options):
    command = [sys.executable, "deploy/audit.py", "--timeout", "5", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_every_package_is_looked_up_with_its_version(tools):
    with mirror(lambda name: {}) as (url, asked):
        ended = audit("--service", url)

    assert dict(asked) == {name: version for name, (version, _) in pinned().items()}
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"requirements.txt: {len(asked)} packages audited, no known vulnerabilities\n"


def test_a_known_vulnerability_is_named_with_the_version_that_mends_it(tools):
    with mirror(lambda name: {"vulns": [ADVISORY]} if name == "paramiko" else {}) as (url, _):
        ended = audit("--service", url)

    assert ended.returncode == 1
    found = f"paramiko {pinned()['paramiko'][0]}: CVE-2026-1, GHSA-x; fixed in 99.0"
    assert ended.stdout.splitlines()[0] == found


@pytest.mark.parametrize(
    ("answer", "status"), [({}, 500), ({}, 404), ("<html>", 200)], ids=["500", "404", "a login page"]
)
def test_a_service_that_does_not_answer_audits_nothing(tools, answer, status):
    with mirror(lambda name: answer, status) as (url, _):
        ended = audit("--service", url)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("not audited: ")


def test_without_a_network_nothing_is_audited_and_it_says_so(tools):
    ended = audit("--service", "http://127.0.0.1:9/v1/query")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.match("not audited: .*refused", ended.stderr)


def test_what_the_service_has_never_heard_of_is_not_audited(tmp_path, monkeypatch, capsys):
    """pip-audit ends with 0 then; that is what its report looks like."""
    module = runpy.run_path(str(ROOT / "deploy/audit.py"))
    report = {"dependencies": [{"name": "asgiref", "skip_reason": "not found"}], "fixes": []}
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(
        f"#!/bin/sh\nfor at; do out=$last; last=$at; [ \"$out\" = -o ] && echo '{json.dumps(report)}' > $at; done\n"
    )
    pip_audit.chmod(0o755)
    monkeypatch.setitem(module["_look_up"].__globals__, "PIP_AUDIT", pip_audit)

    with pytest.raises(SystemExit) as ended:
        module["_look_up"]({"asgiref": "3.13.0"}, service=None, timeout=5)

    assert ended.value.code == 2
    assert "knows nothing of 1 of 1 packages: asgiref" in capsys.readouterr().err


def test_an_empty_list_is_not_audited(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")

    ended = audit("--requirements", str(tmp_path / "empty.txt"))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("empty.txt pins no package\n")
