"""Folders that are not there, and every command while the connection or the database is away."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from erp_connectors import tasks
from erp_connectors.services.connections.connection_test import test_connection as run_test
from erp_connectors.services.exports.push import push
from tests import factories
from tests.jobs.processes import ROOT
from tests.leaks.canaries import random_text
from tests.servers.ssh import free_port, new_key, public_line
from tests.tenants.test_commands import COMMANDS

pytestmark = pytest.mark.deep


def test_a_folder_that_is_away_a_file_or_elsewhere(leaks, tmp_path, settings):
    for name in ("SECRET_KEY", "ENCRYPTION_MASTER_KEY"):
        leaks.canary(name, getattr(settings, name))
    (tmp_path / "file").write_text("x")
    (tmp_path / "elsewhere").symlink_to("/proc/self")
    rows: list[Any] = []
    shown = ""
    for place in ("away", "file", "elsewhere"):
        config = {
            "mode": "filesystem",
            "export_path": f"{tmp_path}/{place}",
            "ack_path": f"{tmp_path}/{place}",
        }
        connection = factories.connection(factories.org(), config)
        export = push(factories.draft(connection.org).pk, actor=None).export
        shown += "".join(f"{step!r} {step.fault}" for step in run_test(connection.pk, actor=None))
        shown += tasks.deliver(str(connection.pk)) + tasks.poll(str(connection.pk))
        rows += [connection, export]

    (tmp_path / "elsewhere").unlink()
    leaks.look(rows[0].org, *rows, returned=shown)


ON_A_CONNECTION = ("deliver", "poll_acks", "reconcile", "simulate_erp")


def test_every_command_while_the_erp_is_away(leaks):
    password = leaks.canary("SSH password", random_text(40))
    config = {
        "mode": "sftp", "host": "127.0.0.1", "port": free_port(), "username": "x", "password": password.value,
        "host_key": public_line(new_key()), "export_path": "/in", "ack_path": "/ack", "connect_timeout": 1,
    }  # fmt: skip
    connection = factories.connection(factories.org(), config)
    push(factories.draft(connection.org).pk, actor=None)
    commands: dict[str, dict[str, Any]] = {
        **{name: {"connection": connection.pk} for name in ON_A_CONNECTION},
        "recover_restored": {"backup_taken": timezone.now()},
        "doctor": {"connections": True},
        "rotate_encryption_key": {"check": True},
    }
    for name, options in commands.items():
        try:
            call_command(name, **options)
        except (SystemExit, CommandError) as error:
            print(error)

    leaks.look(connection.org, connection)


# One process for all: each program takes a second to start.
EVERY = """
import sys, traceback
from orderflow import environment
import django
django.setup()
from django.core.management import call_command
for line in sys.stdin.read().splitlines():
    print("command:", line)
    try:
        call_command(*line.split())
    except BaseException:
        traceback.print_exc()
"""
ARGUMENTS = {
    "push": "550e8400-e29b-41d4-a716-446655440000",
    "retry_push": "550e8400-e29b-41d4-a716-446655440000",
    "simulate_erp": "--connection 550e8400-e29b-41d4-a716-446655440000",
    "recover_restored": "--backup-taken 2026-11-23T02:00:00Z",
    "reset_second_factor": "nobody@example.com",
    "import_orders": "tests/orders/orders.jsonl --org nobody",
    "validate_ack": "README.md",
    "validate_export": "README.md",
}
# Runs until it is stopped; `test_processes` covers the processes that it starts.
ENDLESS = {"run_workers"}


def test_every_command_while_the_database_is_away(leaks, tmp_path):
    database = leaks.canary("database password", random_text(40))
    kept = {name: leaks.canary(name, random_text(60)).value for name in ("SECRET_KEY", "METRICS_TOKEN")}
    kept["ENCRYPTION_MASTER_KEY"] = leaks.canary("master key", os.urandom(32).hex()).value
    url = f"postgres://orderflow:{database.value}@127.0.0.1:{free_port()}/orderflow"
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORDERFLOW_ENV": "development", "VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "orderflow.settings", "DATABASE_URL": url, "LOG_LEVEL": "DEBUG", **kept,
    }  # fmt: skip
    commands = [f"{name} {ARGUMENTS.get(name, '')}" for name in sorted(set(COMMANDS) - ENDLESS)]

    done = subprocess.run(
        [sys.executable, "-c", EVERY], cwd=ROOT, env=environment, input="\n".join(commands), text=True,
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip

    said = done.stdout + done.stderr
    assert said.count("command:") == len(commands)
    assert "Connection refused" in said
    assert done.returncode == 0, said[-3000:]
    leaks.look(factories.org(), said=said)


@pytest.mark.django_db
def test_the_list_of_commands_is_whole():
    assert set(ARGUMENTS) | set(ON_A_CONNECTION) | ENDLESS <= set(COMMANDS)
