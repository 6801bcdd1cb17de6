"""A client that a generator makes of the description works: log in, list, push, against a server that runs."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from drf_spectacular.generators import SchemaGenerator

from erp_connectors.models import ERPExport
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.actors import make_world

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def client_package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    schema = folder / "schema.json"
    schema.write_text(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))
    program = Path(sys.executable).with_name("openapi-python-client")
    done = subprocess.run(
        [program, "generate", "--path", schema, "--output-path", folder / "made", "--meta", "none"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{program.parent}:/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in (told := done.stdout + done.stderr).upper(), told
    sys.path.insert(0, str(folder))
    yield "made"
    sys.path.remove(str(folder))


def test_it_logs_in_lists_and_pushes(client_package, live_server, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    world = make_world(tmp_path)
    user, order = factories.user(world.ours, Role.OPS), world.draft()

    def made(name):
        return importlib.import_module(f"{client_package}.{name}")

    anonymous = made("client").Client(base_url=live_server.url)
    credentials = made("models").CredentialsRequest(email=user.email, password=factories.PASSWORD)
    token = made("api.auth.login").sync(client=anonymous, body=credentials).token
    client = made("client").AuthenticatedClient(base_url=live_server.url, token=token, prefix="Token")

    listed = made("api.draft_orders.draft_orders_list").sync(client=client)
    assert [row.id for row in listed.results] == [order.pk]
    assert listed.next_ is None

    push = made("api.draft_orders.draft_orders_push_create").sync_detailed
    answers = [push(order.pk, client=client, idempotency_key="k-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]
    assert {answer.parsed.erp_export_id for answer in answers} == {ERPExport.objects.get().pk}

    refused = made("api.draft_orders.draft_orders_approve_create").sync_detailed(order.pk, client=client)
    assert (refused.status_code, refused.parsed.error.code) == (409, "CONFLICT")


CALLS = """
from made.api.auth import login
from made.api.draft_orders import draft_orders_list
from made.client import AuthenticatedClient, Client
from made.models import CredentialsRequest, NewToken

anonymous = Client(base_url="https://orders.example.com")
token = login.sync(client=anonymous, body=CredentialsRequest(email="a@b.example", password="x"))
assert isinstance(token, NewToken)
draft_orders_list.sync(client=AuthenticatedClient(base_url="https://orders.example.com", token=token.token))
"""


def test_a_type_checker_lets_a_program_log_in_without_a_token(client_package, tmp_path):
    made = Path(str(importlib.import_module(client_package).__file__)).parents[1]
    program = tmp_path / "program.py"
    program.write_text(CALLS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file=",
            "--follow-imports=silent",
            "--cache-dir",
            tmp_path / "cache",
            program,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=made,
    )
    assert done.returncode == 0, done.stdout + done.stderr
