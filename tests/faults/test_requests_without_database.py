"""Requests while PostgreSQL is down or restarts: a 503 with the time to wait, then all is as before."""

import json
from pathlib import Path

import pytest
import requests

from tests.jobs.processes import world_at
from tests.orderflow.test_chunked_bodies import PASSWORD, SETUP
from tests.servers import postgres
from tests.servers.gunicorn import gunicorn

pytestmark = [pytest.mark.deep, pytest.mark.timeout(400)]


def test_api_and_admin_answer_503_and_go_on_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with postgres.migrated_server(folder) as url:
        world = world_at(tmp_path, DATABASE_URL=url)
        done = world.manage("shell", "--no-imports", "-c", SETUP)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout.splitlines()[-1])
        with gunicorn(world) as port, requests.Session() as browser:
            site = f"http://127.0.0.1:{port}"
            given = {"email": made["email"], "password": PASSWORD}
            login = requests.post(f"{site}/api/v1/auth/login", json=given, timeout=60).json()
            headers = {"Authorization": f"Token {login['token']}"}
            browser.cookies.set("sessionid", "x" * 32)
            calls = {
                "list": lambda: requests.get(f"{site}/api/v1/draft-orders", headers=headers, timeout=60),
                "create": lambda: requests.post(
                    f"{site}/api/v1/draft-orders", headers=headers, json={"notes": "a"}, timeout=60
                ),
                "login": lambda: requests.post(f"{site}/api/v1/auth/login", json=given, timeout=60),
                "admin": lambda: browser.get(f"{site}/admin/", timeout=60),
            }
            before = {name: call().status_code for name, call in calls.items()}
            postgres.stop(folder)
            away = {name: call() for name, call in calls.items()}
            postgres.restart(folder)
            try:
                after = {name: call().status_code for name, call in calls.items()}
            finally:
                postgres.stop(folder)

    assert before == after == {"list": 200, "create": 201, "login": 200, "admin": 200}
    assert {name: answer.status_code for name, answer in away.items()} == dict.fromkeys(calls, 503)
    assert all(answer.headers["Retry-After"] == "5" for answer in away.values())
    assert away["list"].json()["error"]["code"] == "UNAVAILABLE"
    assert "text/html" in away["admin"].headers["Content-Type"]
