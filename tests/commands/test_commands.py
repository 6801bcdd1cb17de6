import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories
from tests.jobs.processes import ROOT
from tests.servers.ssh import free_port

# Rounds over several connections run in threads, which see only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def org() -> Org:
    return factories.org()


@pytest.fixture
def connection(org: Org) -> ERPConnection:
    return connect(org)


def connect(org: Org) -> ERPConnection:
    folder = Path(settings.DROPZONE_ROOTS[0]) / uuid4().hex
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    config = {"mode": "filesystem", "export_path": str(folder / "in"), "ack_path": str(folder / "out")}
    return factories.connection(org, config)


def run(*arguments: Any) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command(*(str(argument) for argument in arguments), stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def export_of(draft: DraftOrder) -> ERPExport:
    return ERPExport.objects.filter(draft_order=draft).latest("created_at")


def test_an_order_goes_out_and_its_answer_comes_back(org: Org, connection: ERPConnection) -> None:
    draft = factories.draft(org)
    code, said = run("push", draft.pk, "--as", factories.user(org).email)
    assert code == 0
    assert export_of(draft).filename in said

    code, said = run("deliver")
    assert (code, "1 sent" in said) == (0, True)

    code, said = run("simulate_erp", "--connection", connection.pk)
    assert code == 0
    assert "1 accepted, 1 taken" in said

    code, said = run("poll_acks", "--connection", connection.pk)
    assert (code, "1 accepted" in said) == (0, True)
    draft.refresh_from_db()
    assert (draft.status, export_of(draft).status) == (DraftStatus.PUSHED, ExportStatus.ACKED)
    assert draft.erp_order_id.startswith("SO-")


def test_a_refused_order_can_be_pushed_again(org: Org, connection: ERPConnection) -> None:
    draft = factories.draft(org)
    run("push", draft.pk)
    run("deliver")
    run("simulate_erp", "--connection", connection.pk, "--refuse-rate", 1, "--once")
    code, said = run("poll_acks")
    assert (code, "1 refused" in said) == (0, True)
    code, said = run("retry_push", draft.pk, "--json")
    assert code == 0
    assert json.loads(said)["created"] is True
    assert ERPExport.objects.filter(draft_order=draft).count() == 2


def test_pushing_again_says_so_and_makes_no_second_export(org: Org, connection: ERPConnection) -> None:
    draft = factories.draft(org)
    first = json.loads(run("push", draft.pk, "--idempotency-key", "k1", "--json")[1])
    second = json.loads(run("push", draft.pk, "--idempotency-key", "k1", "--json")[1])
    assert first["erp_export_id"] == second["erp_export_id"]
    assert (first["created"], second["created"]) == (True, False)
    assert "was pushed before" in run("push", draft.pk)[1]


@pytest.mark.parametrize(
    ("status", "message"),
    [(DraftStatus.READY, "only an approved order can be pushed"), (DraftStatus.ERROR, "retry the push")],
)
def test_what_can_not_be_pushed_says_why(
    org: Org, connection: ERPConnection, status: DraftStatus, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run("push", factories.draft(org, status=status).pk)


def test_without_a_connection_push_says_what_to_do(org: Org) -> None:
    with pytest.raises(CommandError, match="no active ERP connection"):
        run("push", factories.draft(org).pk)


def test_push_in_the_name_of_somebody_who_may_not(org: Org, connection: ERPConnection) -> None:
    draft = factories.draft(org)
    with pytest.raises(CommandError, match="may not push"):
        run("push", draft.pk, "--as", factories.user(org, Role.VIEWER).email)
    with pytest.raises(CommandError, match=r"no order .* that this user may see"):
        run("push", draft.pk, "--as", factories.user(factories.org()).email)
    with pytest.raises(CommandError, match=r"no user nobody@example\.com"):
        run("push", draft.pk, "--as", "nobody@example.com")
    assert not ERPExport.objects.exists()


def test_unknown_connections_and_orders_are_named() -> None:
    unknown = uuid4()
    for command in ("deliver", "poll_acks", "simulate_erp"):
        with pytest.raises(CommandError, match=f"no connection {unknown}"):
            run(command, "--connection", unknown)
    with pytest.raises(CommandError, match=f"no order {unknown}"):
        run("push", unknown)


def test_one_connections_error_fails_the_command_and_not_its_neighbour(
    org: Org, connection: ERPConnection
) -> None:
    other = factories.org()
    broken = connect(other)
    Path(broken.config["ack_path"]).rmdir()
    Path(broken.config["export_path"]).rmdir()
    for of in (org, other):
        run("push", factories.draft(of).pk)
    code, said = run("deliver", "--json")
    reports = {report["connection_id"]: report for report in map(json.loads, said.splitlines())}
    assert code == 1
    assert reports[str(connection.pk)]["sent"] == 1
    assert reports[str(broken.pk)]["held"]

    code, said = run("poll_acks")
    assert code == 1
    assert "error" in said


def test_disabled_connections_are_left_out(org: Org, connection: ERPConnection) -> None:
    connection.status = ConnectionStatus.DISABLED
    connection.save()
    assert run("poll_acks") == (0, "There is no active connection; nothing to do.\n")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    return tmp_path / "in", tmp_path / "out"


def test_the_simulated_erp_works_on_folders_outside_of_what_is_allowed_to_orderflow(
    folders: tuple[Path, Path],
) -> None:
    (folders[0] / "sales_order_1.json").write_text("no order")
    code, said = run("simulate_erp", "--folder", *folders, "--watch", "0.05", "--for", "0.2", "--remove")
    assert (code, "1 refused, 1 taken" in said) == (0, True)
    assert [path.name for path in folders[1].iterdir()] == ["error_sales_order_1.json"]
    assert list(folders[0].iterdir()) == []


def test_the_simulated_erp_says_what_is_wrong_with_its_folder(folders: tuple[Path, Path]) -> None:
    folders[0].rmdir()
    code, said = run("simulate_erp", "--folder", *folders)
    assert code == 1
    assert "The folder does not exist" in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--refuse-rate", "2"], "write a number from 0 to 1"),
        (["--refuse-rate", "half"], "write a number from 0 to 1"),
        (["--watch", "-1"], "write a number above 0"),
        (["--watch", "nan"], "write a number above 0"),
        (["--for", "3"], "--for goes with --watch"),
    ],
)
def test_the_simulated_erp_says_what_is_senseless_about_an_option(
    folders: tuple[Path, Path], arguments: list[str], why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        run("simulate_erp", "--folder", *folders, *arguments)


@pytest.mark.deep
@pytest.mark.parametrize("command", ["deliver", "poll_acks"])
def test_a_database_that_can_not_be_reached_is_told_in_a_sentence(tmp_path: Path, command: str) -> None:
    nowhere = f"postgres://orderflow:secret@127.0.0.1:{free_port()}/orderflow"
    environment = {**os.environ, "DATABASE_URL": nowhere, "VAR_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "CommandError: The database can't be reached" in done.stderr
    assert "Nothing is lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def delivered(org: Org) -> ERPExport:
    draft = factories.draft(org)
    run("push", draft.pk)
    run("deliver")
    return export_of(draft)


def test_reconciling_tells_by_its_exit_code_and_names_the_file(org: Org, connection: ERPConnection) -> None:
    export = delivered(org)
    code, said = run("reconcile")
    assert (code, "1 file, 0 answers and 1 archived copy compared: all as recorded" in said) == (0, True)

    Path(export.dropzone_path).write_text("changed")
    code, said = run("reconcile", "--connection", connection.pk)
    assert (code, f"altered: {export.dropzone_path}: It is not what was sent." in said) == (1, True)

    code, said = run("reconcile", "--json")
    (finding,) = json.loads(said)["findings"]
    assert (code, finding["kind"], finding["export_id"]) == (1, "altered", str(export.pk))
    assert json.loads(said)["found"] == {"altered": 1}


def test_what_can_not_be_compared_is_no_good_news(org: Org, connection: ERPConnection) -> None:
    export = delivered(org)
    Path(export.dropzone_path).parent.rename(Path(settings.DROPZONE_ROOTS[0]) / uuid4().hex)

    code, said = run("reconcile")
    assert (code, "error: " in said) == (2, True)
    with pytest.raises(CommandError) as refused:
        run("reconcile", "--connection", uuid4())
    assert refused.value.returncode == 2
