"""The database is restarted while a worker is in the middle of a batch."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import postgres
from tests.servers.asyncssh_server import Behaviour, asyncssh_server

pytestmark = [pytest.mark.deep, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).resolve().parents[2]
SEED = """
import json, sys, django
django.setup()
from erp_connectors.services.exports.push import push_many
from tests import factories
from django.conf import settings
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # each order has an approver of its own
org = factories.org()
connection = factories.connection(org, json.loads(sys.argv[1]))
push_many(factories.ids(factories.drafts(org, 20)), actor=None)
print(connection.pk)
"""
STATUSES = """
import json, django
django.setup()
from erp_connectors.models import ERPExport
print(json.dumps(list(ERPExport.objects.values_list("status", flat=True))))
"""
FINISH = """
import json, sys, time, django
django.setup()
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.deliver import deliver
for _ in range(240):  # until the interrupted worker's lease has run out
    deliver(sys.argv[1])
    statuses = dict(ERPExport.objects.values_list("filename", "status"))
    if set(statuses.values()) == {"SENT"}:
        break
    time.sleep(0.5)
print(json.dumps(statuses))
"""


class Program:
    """The program as a deployment runs it, on this database."""

    def __init__(self, url: str, var: Path) -> None:
        self.environment = {
            **os.environ,
            "ORDERFLOW_ENV": "development",
            "DJANGO_SETTINGS_MODULE": "orderflow.settings",
            "DATABASE_URL": url,
            "VAR_DIR": str(var),
            "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
            "DELIVERY_LEASE_SECONDS": "2",
            "DELIVERY_RETRY_BASE_SECONDS": "1",
        }

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )

    def tell(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("operation", ["write", "rename"])
def test_nothing_is_lost_or_doubled_when_the_database_restarts(tmp_path, operation):
    behaviour, root = Behaviour(), tmp_path / "root"
    (root / "in").mkdir(parents=True)
    with database(tmp_path / "postgres") as url, asyncssh_server(root, behaviour=behaviour) as server:
        program = Program(url, tmp_path / "var")
        connection = program.tell("-c", SEED, json.dumps(server.config(ack_path=None)))
        restarts = restart_once(tmp_path / "postgres", behaviour, operation)

        program.run(
            "manage.py", "deliver", "--connection", connection
        )  # its end depends on how long the restart took

        assert restarts == ["restarted"]
        assert set(json.loads(program.tell("-c", STATUSES))) == {"PENDING"}
        statuses = json.loads(program.tell("-c", FINISH, connection))

    assert set(statuses.values()) == {"SENT"}
    assert len(statuses) == 20
    assert sorted(path.name for path in (root / "in").iterdir()) == sorted(statuses)


@contextmanager
def database(folder: Path) -> Iterator[str]:
    with postgres.migrated_server(folder) as url:
        try:
            yield url
        finally:
            postgres.stop(folder)


def restart_once(folder: Path, behaviour: Behaviour, wanted: str) -> list[str]:
    done: list[str] = []

    def interfere(operation: str, name: str) -> None:
        if operation == wanted and not done:
            done.append("restarted")
            postgres.restart(folder)

    behaviour.interfere = interfere
    return done
