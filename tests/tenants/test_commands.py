"""Every command: with an org's argument it acts on that org alone, without one it keeps the orgs apart."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands
from django.utils import timezone

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ExportStatus
from orderflow.orders.models import Customer, DraftOrder
from orderflow.second_factor.models import SecondFactor
from orderflow.tenancy.roles import Role
from tests.retention.conftest import age
from tests.servers.ssh import SshServer
from tests.tenants.twins import (
    APPROVED,
    PENDING,
    REFUSED,
    SENT,
    Twin,
    mine,
    require_unmixed,
    state,
    told_of,
)

pytestmark = pytest.mark.deep


@dataclass
class Stage:
    one: Twin
    other: Twin
    server: SshServer
    folder: Path
    said: list[str] = field(default_factory=list)

    def call(self, name: str, *args: Any, **options: Any) -> str:
        out = StringIO()
        try:
            call_command(name, *args, stdout=out, stderr=out, **options)
        except SystemExit as end:
            out.write(f"\nexit code {end.code}")
        except CommandError as error:
            out.write(f"\n{error}")
        self.said.append(out.getvalue())
        return out.getvalue()


def import_orders(stage: Stage) -> None:
    row = {
        "customer": {"erp_customer_number": "4711"}, "external_order_number": "PO-77", "currency": "EUR",
        "order_date": "2026-11-02", "lines": [{"line_no": 1, "internal_sku": "A", "qty": "1", "uom": "ST"}],
    }  # fmt: skip
    file = stage.folder / "orders.jsonl"
    file.write_text(json.dumps(row) + "\n")
    stage.call("import_orders", file, org=stage.one.org.slug)
    assert mine(DraftOrder, stage.one.org).filter(external_order_number="PO-77").count() == 1
    # Of the other's people nobody brings orders into this org.
    refused = stage.call(
        "import_orders", file, org=stage.other.org.slug, email=stage.one.users[Role.OPS].email
    )
    assert "does not belong to" in refused
    stage.said.pop()


def deliver(stage: Stage) -> None:
    stage.call("deliver", connection=stage.one.connection.pk)
    assert stage.one.export(PENDING).status == ExportStatus.SENT


def poll_acks(stage: Stage) -> None:
    for twin in (stage.one, stage.other):
        name = f"ack_{twin.export(SENT).filename}"
        (stage.server.root / "ack" / name).write_text('{"status": "ACKED", "erp_order_id": "SO-7"}')
    stage.call("poll_acks", connection=stage.one.connection.pk)
    assert stage.one.export(SENT).status == ExportStatus.ACKED


def push(stage: Stage) -> None:
    stage.call(
        "push", stage.one.orders[APPROVED].pk, email=stage.one.users[Role.OPS].email, idempotency_key="key-7"
    )
    assert stage.one.export(APPROVED).status == ExportStatus.PENDING
    refused = stage.call("push", stage.other.orders[APPROVED].pk, email=stage.one.users[Role.OPS].email)
    assert "There is no order" in refused
    stage.said.pop()


def retry_push(stage: Stage) -> None:
    stage.call("retry_push", stage.one.orders[REFUSED].pk, email=stage.one.users[Role.OPS].email)
    assert ERPExport.objects.filter(draft_order=stage.one.orders[REFUSED]).count() == 2
    refused = stage.call("retry_push", stage.other.orders[REFUSED].pk, email=stage.one.users[Role.OPS].email)
    assert "There is no order" in refused
    stage.said.pop()


def simulate_erp(stage: Stage) -> None:
    stage.call("simulate_erp", connection=stage.one.connection.pk, once=True)
    assert "taken" in stage.said[-1]


def reconcile(stage: Stage) -> None:
    stage.call("reconcile", connection=stage.one.connection.pk, json=True)
    assert json.loads(stage.said[-1].splitlines()[0])["findings"] == []


def prune(stage: Stage) -> None:
    """The rows of both are old enough."""
    said = stage.call("prune", org=stage.one.org.slug, older_than=100)
    assert "0 removed" not in said
    assert mine(ERPExport, stage.one.org).filter(payload_removed_at__isnull=False).exists()


def reset_second_factor(stage: Stage) -> None:
    stage.call("reset_second_factor", stage.one.users[Role.OPS].email)
    assert not mine(SecondFactor, stage.one.org).exists()


def rotate_encryption_key(stage: Stage) -> None:
    """For all; what it sealed anew is opened by its own row only, and says the same."""
    configs = [
        dict(ERPConnection.objects.get(pk=twin.connection.pk).config) for twin in (stage.one, stage.other)
    ]
    stage.call("rotate_encryption_key")
    again = [
        dict(ERPConnection.objects.get(pk=twin.connection.pk).config) for twin in (stage.one, stage.other)
    ]
    assert configs == again
    stage.said.clear()


def recover_restored(stage: Stage) -> None:
    """For all: each org's orders are put in doubt, and no copy is taken for the other's."""
    stage.call("recover_restored", backup_taken=timezone.now() - timedelta(hours=1), dry_run=True)
    stage.said.clear()


def doctor(stage: Stage) -> None:
    stage.call("doctor")
    # It is for who runs all of them.
    stage.said.clear()


def looks_at_files(stage: Stage) -> None:
    for name in ("validate_ack", "validate_export"):
        file = stage.folder / "ack_sales_order_550e8400_20260101_000000_00000000.json"
        file.write_text('{"status": "ACKED", "erp_order_id": "7"}')
        stage.call(name, file)


def knows_no_rows(stage: Stage) -> None:
    stage.call("generate_key")
    stage.call("row_level_security")


def is_run_apart(stage: Stage) -> None:
    """Starts programs that run the jobs, each of which is tried in `test_jobs`; demo has a database of its own."""


COMMANDS: dict[str, Callable[[Stage], None]] = {
    "import_orders": import_orders,
    "deliver": deliver,
    "poll_acks": poll_acks,
    "push": push,
    "retry_push": retry_push,
    "simulate_erp": simulate_erp,
    "reconcile": reconcile,
    "reset_second_factor": reset_second_factor,
    "prune": prune,
    "rotate_encryption_key": rotate_encryption_key,
    "recover_restored": recover_restored,
    "doctor": doctor,
    "validate_ack": looks_at_files,
    "validate_export": looks_at_files,
    "generate_key": knows_no_rows,
    "row_level_security": knows_no_rows,
    "run_workers": is_run_apart,
}


def test_every_command_has_an_entry() -> None:
    ours = {
        name for name, app in get_commands().items() if str(app).startswith(("erp_connectors", "orderflow"))
    }

    assert ours == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_neither_changes_nor_names_the_other_org(full, server, tmp_path, name):
    stage = Stage(full[0], full[1], server, tmp_path)
    if name == "prune":
        age()
    before = state(stage.other.org)

    COMMANDS[name](stage)

    assert told_of(stage.other, "\n".join(stage.said)) == set()
    if name != "rotate_encryption_key":
        assert state(stage.other.org) == before
    require_unmixed(*full)


def test_customers_of_the_same_number_are_each_orgs_own(full) -> None:
    assert [mine(Customer, twin.org).get().erp_customer_number for twin in full] == ["4711", "4711"]
