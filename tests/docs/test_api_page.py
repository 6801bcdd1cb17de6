"""Each snippet of docs/api.md, as it stands there, against a server with a worker and an ERP that answers."""

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT, new_world
from tests.parts import find_program, require_program
from tests.servers.gunicorn import gunicorn

pytestmark = pytest.mark.deep

PASSWORD = "correct horse battery"
PAGE = (ROOT / "docs" / "api.md").read_text()
SETUP = """
import json, os
from django.conf import settings
from tests import factories
org = factories.org()
factories.customer(org, erp_customer_number="4711")
folder = settings.DROPZONE_ROOTS[0]
config = {"mode": "filesystem", "export_path": folder + "/in", "ack_path": folder + "/out"}
connection = factories.connection(org, config)
print(json.dumps({"email": factories.user(org).email, "connection": str(connection.pk)}))
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The environment that the snippets expect."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("in", "out"):
        (folder / "dropzone" / name).mkdir(parents=True)
    world = new_world(folder, DROPZONE_ROOTS=str(folder / "dropzone"), ACK_POLL_INTERVAL_SECONDS="1")
    done = world.manage("shell", "--no-imports", "-c", SETUP)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    with ExitStack() as stack:
        stack.enter_context(world.running("run_workers", "--workers", "1"))
        stack.enter_context(
            world.running("simulate_erp", "--connection", made["connection"], "--watch", "0.5")
        )
        port = stack.enter_context(gunicorn(world))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        yield {
            **kept,
            "API": f"http://127.0.0.1:{port}/api/v1",
            "EMAIL": made["email"],
            "PASSWORD": PASSWORD,
            "LC_ALL": "C.UTF-8",
        }


def run(command, site, **more):
    done = subprocess.run(
        command, env={**site, **more}, text=True, capture_output=True, timeout=80, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_brings_an_order_from_draft_to_acked(site, tmp_path):
    require_program("curl")
    tools = {} if find_program("jq") else {"PATH": f"{small_jq(tmp_path)}:{site['PATH']}"}
    script = "set -eu\n" + "\n".join(snippets("sh"))

    said = run(["sh", "-c", script], site, **tools)

    assert '"status": "ACKED"' in said
    assert re.search(r'"erp_order_id": "[^"]+"', said)


def test_python_brings_an_order_from_draft_to_acked_and_lists_it(site):
    example, whole_list = snippets("python")

    said = run([sys.executable, "-c", example], site)

    assert re.fullmatch(r"ACKED \S+ None\n", said), said
    login = example[: example.index("[customer]")] + "print(headers['Authorization'].split()[1])"
    token = run([sys.executable, "-c", login], site).strip()
    listed = run([sys.executable, "-c", whole_list], site, TOKEN=token)
    assert re.search(r"^sales_order_\S+\.json ACKED$", listed, re.MULTILINE)


def test_every_snippet_of_the_page_is_run_by_one_of_these():
    languages = re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)

    assert set(languages) <= {"sh", "python", "json"}
    assert (len(snippets("sh")), len(snippets("python"))) == (4, 2)


def small_jq(folder: Path) -> Path:
    """As much of jq as the page uses, where it is not installed."""
    program = folder / "jq"
    # A path with a space can't stand after "#!".
    (folder / "jq.py").write_text(_JQ)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/jq.py" "$@"\n')
    program.chmod(0o755)
    return folder


_JQ = """
import json, re, sys
raw, query = sys.argv[1] == "-r", sys.argv[-1]
value = json.load(sys.stdin)
if query.startswith("{"):
    print(json.dumps({name.strip(): value[name.strip()] for name in query.strip("{}").split(",")}, indent=2))
else:
    for name, at in re.findall(r"[.](\\w+)|\\[(\\d+)\\]", query):
        value = value[name] if name else value[int(at)]
    print(value if raw else json.dumps(value))
"""
