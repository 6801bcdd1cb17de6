"""Orders as CSV files, from the push to the answer, over each kind of transport; and what reads their names."""

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.services.reconciliation.reconcile import reconcile
from erp_connectors.services.restore.report import RecoveryFindingKind
from erp_connectors.states import ExportStatus
from orderflow.tenancy.models import Org
from tests import factories
from tests.servers.asyncssh_server import asyncssh_server
from tests.services.restore.test_recover import Backup

ACCEPTED = b'{"status": "ACKED", "erp_order_id": "SO-1"}'
REFUSED = b'{"status": "FAILED", "message": "Unknown customer"}'


class CsvSite:
    """An org whose ERP reads CSV files from ``root/in`` and answers in ``root/ack``."""

    def __init__(self, org: Org, connection: ERPConnection, root: Path) -> None:
        self.org, self.connection, self.root = org, connection, root

    def sent(self, **fields: Any) -> ERPExport:
        export = push(factories.draft(self.org, **fields).pk, actor=None).export
        deliver(self.connection.pk)
        export.refresh_from_db()
        return export

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "in").iterdir())

    def answered(self, export: ERPExport, name: str, body: bytes) -> str:
        (self.root / "ack" / name).write_bytes(body)
        poll(self.connection.pk)
        export.refresh_from_db()
        return export.status


@pytest.fixture
def make_site(db: None, tmp_path: Path, settings: Any) -> Iterator[Callable[..., CsvSite]]:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    for name in ("in", "ack"):
        (tmp_path / name).mkdir()
    with ExitStack() as stack:

        def make(transport: str = "filesystem", **options: Any) -> CsvSite:
            if transport == "sftp":
                config = stack.enter_context(asyncssh_server(tmp_path)).config()
            else:
                folders = {"export_path": str(tmp_path / "in"), "ack_path": str(tmp_path / "ack")}
                config = {"mode": "filesystem", **folders}
            org = factories.org()
            row = factories.connection(org, {**config, **options}, connector_type="DROPZONE_CSV_V1")
            return CsvSite(org, row, tmp_path)

        yield make


@pytest.mark.parametrize("transport", ["filesystem", "sftp"])
def test_an_order_is_sent_as_csv_and_answered(make_site: Callable[..., CsvSite], transport: str) -> None:
    site = make_site(transport, delimiter="tab", encoding="utf-16", file_ending="txt")
    first, second = site.sent(lines=3), site.sent()

    assert site.files() == sorted([first.filename, second.filename])
    assert first.filename.endswith(".txt")
    with (site.root / "in" / first.filename).open(encoding="utf-16", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["line_no"] for row in rows] == ["1", "2", "3"]
    assert {row["order_id"] for row in rows} == {str(first.draft_order_id)}
    assert {(row["quantity"], row["unit_price"]) for row in rows} == {("10.500", "1.2345")}
    assert first.export_format_version == "orderflow_export_csv_v1"

    assert site.answered(first, f"ack_{first.filename}", ACCEPTED) == ExportStatus.ACKED
    assert site.answered(second, f"error_{second.filename}.json", REFUSED) == ExportStatus.FAILED


def test_an_order_that_cannot_be_written_fails_alone(make_site: Callable[..., CsvSite]) -> None:
    site = make_site(encoding="windows-1252")

    wrong, right = site.sent(notes="Käse \U0001f9c0"), site.sent()

    assert (wrong.status, right.status) == (ExportStatus.FAILED, ExportStatus.SENT)
    assert wrong.error_json is not None
    assert wrong.error_json["code"] == "RENDER_FAILED"


def test_an_order_is_pushed_even_if_the_config_is_wrong(make_site: Callable[..., CsvSite]) -> None:
    site = make_site(columns="no column")

    export = site.sent()

    assert (export.status, export.filename[-4:]) == (ExportStatus.PENDING, ".csv")


def test_answers_to_older_files_are_read_after_a_change_of_the_format(
    make_site: Callable[..., CsvSite],
) -> None:
    site = make_site(file_ending="imp")
    first, second = site.sent(), site.sent()
    site.connection.config = {**site.connection.config, "file_ending": "dat"}
    site.connection.save()

    assert site.sent().filename.endswith(".dat")
    assert site.answered(first, f"ack_{first.filename}", ACCEPTED) == ExportStatus.ACKED
    assert site.answered(second, f"ack_{second.filename}.json", ACCEPTED) == ExportStatus.ACKED


def test_an_answer_in_a_folder_shared_with_a_json_connection_is_read_by_either(
    make_site: Callable[..., CsvSite],
) -> None:
    site = make_site()
    export = site.sent()
    json_config = {key: site.connection.config[key] for key in ("mode", "export_path", "ack_path")}
    other = factories.connection(site.org, json_config)
    (site.root / "ack" / f"ack_{export.filename}.json").write_bytes(ACCEPTED)

    poll(other.pk)

    export.refresh_from_db()
    assert export.status == ExportStatus.ACKED


def test_a_download_has_the_media_type_of_the_format(
    make_site: Callable[..., CsvSite], client: Client
) -> None:
    site = make_site()
    export = site.sent()
    user = factories.user(site.org)
    client.force_login(user)
    api = APIClient()
    api.force_authenticate(user)

    for answer in (
        client.get(reverse("admin:erp_export_payload", args=[export.pk])),
        api.get(f"/api/v1/erp-exports/{export.pk}/payload"),
    ):
        assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, "text/csv")


def test_reconcile_finds_an_order_file_without_an_export(make_site: Callable[..., CsvSite]) -> None:
    site = make_site()
    known = site.sent()
    orphan = known.filename.replace(known.filename[12:20], "00000000")
    (site.root / "in" / orphan).write_bytes(b"x")
    (site.root / "in" / "readme.txt").write_bytes(b"x")

    report = reconcile(site.connection.pk)

    assert [Path(found.path).name for found in report.findings] == [orphan]


@pytest.mark.parametrize("columns", [None, "article = line.internal_sku"])
def test_a_file_is_traced_to_its_order_after_a_restore(
    make_site: Callable[..., CsvSite], columns: str | None
) -> None:
    site = make_site(columns=columns)
    waiting = factories.draft(site.org)
    backup = Backup()
    export = push(waiting.pk, actor=None).export
    deliver(site.connection.pk)
    (site.root / "in" / export.filename).unlink()
    backup.restore()

    assert backup.recover()[RecoveryFindingKind.UNKNOWN] == 1
    assert ERPExport.objects.get().draft_order_id == waiting.pk
