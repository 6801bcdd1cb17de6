"""A tiny connector of another kind: proof that the port is enough, and that no use case knows the first one."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from erp_connectors import registry
from erp_connectors.connectors.base import AckName, AckUnreadable, Connector, NoOptions
from erp_connectors.models import ERPConnection
from erp_connectors.port_types import Ack, OrderDocument
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.services.status.connection_health import connections_health
from erp_connectors.states import ExportStatus
from orderflow.tenancy.roles import Role
from tests import factories

CARDS = ("Receives new orders.", "Receives no new orders: another connection is used.")


class CsvConnector(Connector[NoOptions]):
    """Orders as CSV lines; ``NAME.ok`` holding the ERP's number accepts, ``NAME.no`` holding a reason refuses."""

    type = "CSV"
    version = "csv1"

    def filename(
        self, draft_order_id: UUID, *, at: datetime, token: str, options: NoOptions | None = None
    ) -> str:
        return f"{draft_order_id.hex}-{token}.csv"

    def render(self, order: OrderDocument, options: NoOptions) -> bytes:
        return "".join(f"{line.internal_sku};{line.qty}\n" for line in order.lines).encode()

    def acknowledges(self, name: str, options: NoOptions) -> AckName | None:
        stem, _, ending = name.rpartition(".")
        return AckName(stem) if stem and ending in ("ok", "no") else None

    def parse_ack(self, name: str, body: bytes, options: NoOptions) -> list[Ack]:
        text = body.decode("ascii", "replace").strip()
        if not text:
            raise AckUnreadable("it is empty")
        if name.endswith(".ok"):
            return [Ack(accepted=True, erp_order_id=text, error_code=None, message=None, processed_at=None)]
        return [Ack(accepted=False, erp_order_id=None, error_code="NO", message=text, processed_at=None)]


@pytest.fixture
def csv_site(db, tmp_path, settings, monkeypatch):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    monkeypatch.setitem(registry.CONNECTORS, "CSV", "csv_connector.CsvConnector")
    monkeypatch.setitem(sys.modules, "csv_connector", sys.modules[CsvConnector.__module__])
    registry.connector_for.cache_clear()
    yield factories.org(), tmp_path
    registry.connector_for.cache_clear()


def config_of(folder: Path) -> dict[str, Any]:
    return {"mode": "filesystem", "export_path": str(folder), "ack_path": str(folder)}


@pytest.mark.parametrize(
    ("ending", "body", "status"), [("ok", b"77", ExportStatus.ACKED), ("no", b"blocked", ExportStatus.FAILED)]
)
def test_another_connector_delivers_and_is_answered(csv_site, ending, body, status):
    org, folder = csv_site
    row = ERPConnection.objects.create(org=org, connector_type="CSV", config=config_of(folder))
    export = push(factories.draft(org, lines=2).pk, actor=None).export

    assert deliver(row.pk).sent == 1
    assert (folder / export.filename).read_text() == "INT-0001;10.500\nINT-0002;10.500\n"

    (folder / f"{export.filename}.{ending}").write_bytes(body)
    poll(row.pk)
    export.refresh_from_db()
    assert export.status == status


@pytest.mark.parametrize("more", [[], ["--scenario", "docs/new-tenant.toml"]])
def test_the_simulated_erp_says_that_it_does_not_know_this_kind(csv_site, more):
    org, folder = csv_site
    row = ERPConnection.objects.create(org=org, connector_type="CSV", config=config_of(folder))

    with pytest.raises(
        CommandError, match="files of DROPZONE_JSON_V1, and this connection is of the type CSV"
    ):
        call_command("simulate_erp", "--connection", str(row.pk), *more)


def test_the_pages_name_the_connection_that_receives_new_orders(csv_site, client):
    org, folder = csv_site
    first = factories.connection(org, config_of(folder))
    user = factories.user(org, Role.ADMIN)
    assert [one.receives_orders for one in connections_health(user)] == [None]
    second = ERPConnection.objects.create(org=org, connector_type="CSV", config=config_of(folder))

    used = push(factories.draft(org).pk, actor=None).export.connection

    shown = {one.connection.pk: one.receives_orders for one in connections_health(user)}
    assert (used, shown) == (first, {first.pk: True, second.pk: False})
    client.force_login(user)
    overview = client.get("/admin/").content.decode()
    listed = client.get("/admin/erp_connectors/erpconnection/").content.decode()
    assert all(text in overview for text in CARDS)
    assert all(text in listed for text in ("Active, receives new orders", "Active, receives no new orders"))
