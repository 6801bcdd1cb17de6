"""gunicorn as the service starts it: its own lines are like all others, and it opens nothing but its port."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT, World, collected_static, new_world
from tests.servers.processes import running as run
from tests.servers.ssh import free_port
from tests.test_deploy_files import DEPLOY, unit

pytestmark = pytest.mark.deep

COMMAND = unit(DEPLOY / "systemd" / "orderflow-web.service")["Service"]["ExecStart"]


class Web:
    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process, self.port, self.log = process, port, log

    def lines(self, event: str = "") -> list[dict[str, object]]:
        """What was said, read as JSON, each with what every line has."""
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        assert all({"event", "level", "timestamp", "logger"} <= set(line) for line in found)
        return [line for line in found if event in str(line["event"])]

    def wait_until_said(self, event: str, times: int = 1) -> None:
        deadline = time.monotonic() + 120
        while len(self.lines(event)) < times:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def get(self, path: str, request_id: str = "") -> int:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            headers={"X-Request-ID": request_id, "X-Forwarded-Proto": "https"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310  # our own server
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@contextmanager
def running(world: World, **environment: str) -> Iterator[Web]:
    port, log = free_port(), world.folder / "web.log"
    command = COMMAND.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("--workers 3", "--workers 1")
    arguments = [sys.executable, "-m", "gunicorn", *shlex.split(command)[1:]]
    env = {**world.env, "HOME": str(world.folder), **environment}
    with (
        log.open("wb") as output,
        run(arguments, grace=40, cwd=ROOT, env=env, stdout=output, stderr=output) as process,
    ):
        yield Web(process, port, log)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = new_world(tmp_path_factory.mktemp("gunicorn"), LOG_FORMAT="json", ALLOWED_HOSTS="127.0.0.1")
    del made.env["ORDERFLOW_ENV"]
    made.env["STATIC_ROOT"] = collected_static()
    return made


@pytest.fixture
def web(world: World) -> Iterator[Web]:
    with running(world) as started:
        started.wait_until_said("Booting worker")
        yield started


def test_every_line_is_json_a_request_has_one_and_no_socket_is_opened_but_its_port(
    web: Web, world: World
) -> None:
    assert web.get("/admin/login/", request_id="r-77") == 200
    with socket.create_connection(("127.0.0.1", web.port), timeout=60) as stranger:
        stranger.sendall(b"NONSENSE\r\n\r\n")
        assert b" 400 " in stranger.recv(1000)
    os.kill(web.process.pid, signal.SIGHUP)
    web.wait_until_said("Booting worker", times=2)
    assert web.get("/admin/login/") == 200
    # It would open one after its first workers; when it has taken a signal it is past that.
    assert [path for path in world.folder.rglob("*") if path.is_socket()] == []
    web.process.terminate()
    web.process.wait(40)

    assert [line["path"] for line in web.lines() if line.get("request_id") == "r-77"] == ["/admin/login/"]
    assert len(web.lines("request")) == len(web.lines("Invalid request")) + 2
    assert {line["logger"] for line in web.lines("Handling signal")} == {"gunicorn.error"}
    assert web.lines("Shutting down")


def test_an_application_that_does_not_start_says_why_in_a_line(world: World) -> None:
    with running(world, SECRET_KEY="") as started:
        assert started.process.wait(40) != 0

    said = started.log.read_text().splitlines()
    (line,) = [json.loads(line) for line in said if line.startswith("{") and "Exception in worker" in line]
    assert "SECRET_KEY is not set" in line["exception"]
    # gunicorn says it once more in plain words.
    assert len([line for line in said if not line.startswith("{")]) == 1


def test_a_warning_of_python_is_a_line_as_well(world: World) -> None:
    with running(world, STATIC_ROOT=str(world.folder / "nowhere")) as started:
        started.wait_until_said("No directory at")

    (line,) = started.lines("No directory at")
    assert line["logger"] == "py.warnings"


def test_on_a_terminal_or_where_asked_for_it_is_text(world: World) -> None:
    with running(world, LOG_FORMAT="console") as started:
        deadline = time.monotonic() + 120
        while "Booting worker" not in started.log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    assert "[INFO] Listening at: http://127.0.0.1" in started.log.read_text()


def test_what_reads_its_settings_imports_nothing_that_an_upgrade_would_replace() -> None:
    show = "import sys, orderflow.gunicorn_conf as _; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", show], cwd=ROOT, text=True, capture_output=True, check=True)
    ours = {name for name in done.stdout.split() if name.partition(".")[0] in ("orderflow", "erp_connectors")}

    assert ours == {"orderflow", "orderflow.gunicorn_conf"}
    assert not {"structlog", "django"} & set(done.stdout.split())


@pytest.mark.parametrize(
    "environment",
    [{}, {"LOG_FORMAT": "console"}, {"LOG_FORMAT": "json"}, {"ORDERFLOW_ENV": "development"},
     {"ORDERFLOW_ENV": "development", "LOG_FORMAT": "json"}],
    ids=str,
)  # fmt: skip
def test_its_lines_have_the_form_of_all_others(world: World, environment: dict[str, str]) -> None:
    show = (
        "from orderflow import gunicorn_conf, settings; "
        "print(settings.LOG_FORMAT, 'logconfig_dict' in vars(gunicorn_conf))"
    )
    env = {name: value for name, value in world.env.items() if name != "LOG_FORMAT"}
    done = subprocess.run(
        [sys.executable, "-c", show],
        cwd=ROOT,
        env={**env, **environment},
        text=True,
        capture_output=True,
        check=True,
    )

    assert done.stdout.split() in (["json", "True"], ["console", "False"])
