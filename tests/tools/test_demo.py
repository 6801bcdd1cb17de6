"""`make demo` and `make serve`, as a person starts them."""

import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.processes import ROOT, World, new_world
from tests.servers.processes import free_port

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]
DEMO = ("-m", "tools.demo")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("a path") / "with a space"
    folder.mkdir()
    # What a deployment has set must not reach the demo.
    return new_world(folder, DATABASE_URL=f"sqlite:///{folder}/deployment.sqlite3", Q_WORKERS="1")


@pytest.fixture(scope="module")
def said(world: World) -> str:
    done = world.manage("demo", "--limit", "300", program=DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_demo_ends_with_every_order_accepted_or_refused_through_both_dropzones(said: str) -> None:
    rows = re.findall(
        r"^\S+ .* (acme|nordwind) +sales_order_\S+\.json +(ACKED|FAILED) +(\S.*)$", said, re.MULTILINE
    )
    assert len(rows) == 20
    assert {(org, status) for org, status, _ in rows} == {
        (org, status) for org in ("acme", "nordwind") for status in ("ACKED", "FAILED")
    }
    assert all(reason.startswith("SO-") == (status == "ACKED") for _, status, reason in rows)
    assert "audit.entry" not in said
    assert "through folder" in said
    assert "through sftp://127.0.0.1:" in said


def test_the_demo_says_where_the_files_are(said: str, world: World) -> None:
    folders = [Path(line.strip()) for line in re.findall(r" {2,}(/.*)$", said, re.MULTILINE)]
    assert len(folders) == 6
    assert all(folder.is_dir() and folder.is_relative_to(world.folder) for folder in folders)


def test_the_demo_leaves_no_process_and_touches_no_other_database(said: str, world: World) -> None:
    demo = str(world.folder / "demo")
    assert not [pid for pid, env in environments() if f"VAR_DIR={demo}" in env]
    with sqlite3.connect(world.folder / "deployment.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM tenancy_org").fetchall() == [(0,)]


def test_serve_answers_until_it_is_stopped_and_keeps_a_demo_from_wiping_its_data(
    said: str, world: World
) -> None:
    port = free_port()
    with world.running(
        "serve", "--port", str(port), "--set", "METRICS_TOKEN=to-try", program=DEMO
    ) as serving:
        serving.wait_until_said("Ctrl-C ends everything")
        assert "admin@acme.example" in serving.said()
        assert "no simulated ERP" not in serving.said()
        chosen = {"Authorization": "Bearer to-try"}
        metrics = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=chosen)
        with urllib.request.urlopen(metrics, timeout=10) as page:  # noqa: S310  # our own server
            assert page.status == 200
        assert "2 ack folders are looked at" in by_the_command_it_names(serving.said())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=10) as page:
            assert page.status == 200
        second = world.manage("demo", "--limit", "300", program=DEMO)
        assert second.returncode == 1
        assert "is running on the demo's data already" in second.stderr
        serving.process.terminate()
        assert serving.process.wait(30) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not [pid for pid, env in environments() if f"VAR_DIR={world.folder / 'demo'}" in env]


def by_the_command_it_names(said: str) -> str:
    named = re.search(r"^Command: (.*)$", said, re.MULTILINE)
    assert named
    words = [sys.executable if word.endswith("python") else word for word in shlex.split(named[1])]
    done = subprocess.run(
        ["env", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout


def test_serve_takes_no_setting_that_leads_out_of_its_world(world: World) -> None:
    outside = ("--set", "DATABASE_URL=sqlite:////tmp/other", "--set", "VAR_DIR=/tmp")
    done = world.manage("serve", "--port", str(free_port()), *outside, program=DEMO)
    assert done.returncode != 0
    assert "DATABASE_URL, VAR_DIR: the demo has its own" in done.stderr


def test_serve_refuses_a_setting_without_a_value(world: World) -> None:
    done = world.manage("serve", "--port", str(free_port()), "--set", "EMAIL_URL", program=DEMO)
    assert done.returncode != 0
    assert "write NAME=VALUE" in done.stderr


def test_serve_says_so_when_its_port_is_taken(world: World) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = world.manage("serve", "--port", str(port), program=DEMO)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 can't be used" in done.stderr


def environments() -> Iterator[tuple[int, list[str]]]:
    """Of every process that we may look at; those that are just ending get a moment."""
    time.sleep(0.5)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "environ").read_text(errors="replace").split("\0")
            except OSError:
                continue
