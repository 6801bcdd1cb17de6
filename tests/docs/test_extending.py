"""The examples of docs/connectors.md and docs/transports.md, installed from a wheel as another package's parts."""

import importlib
import sys
from contextlib import contextmanager

import pytest
from django.test import Client
from django.urls import reverse

from erp_connectors import checks, registry
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.connection_test import test_connection as run_connection_test
from erp_connectors.services.connections.manage import create_connection, public_config
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from erp_connectors.testing import AnswerFile, ConnectorSuite, Place, TransportSuite
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from orderflow.messages import Message, foreign
from orderflow.tenancy.roles import Role
from tests import factories
from tests.docs import examples


@pytest.fixture(scope="module")
def site_packages(tmp_path_factory):
    return examples.install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def installed(site_packages):
    with imported_from(site_packages):
        yield


@contextmanager
def imported_from(site_packages):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.syspath_prepend(site_packages)
    importlib.invalidate_caches()
    registry.forget_installed()
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
            del sys.modules[name]
        monkeypatch.undo()
        registry.forget_installed()


@pytest.fixture
def share(tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    for folder in ("in", "ack"):
        (tmp_path / folder).mkdir()
    return tmp_path


def config_of(share, **more):
    return {"mode": "share", "share": str(share), "export_path": "/in", "ack_path": "/ack", **more}


def test_an_installed_connector_and_an_installed_transport_work_together(db, installed, share):
    row = create_connection(factories.org(), "CSV", config_of(share, separator="|"), actor=None)

    steps = run_connection_test(row.pk, actor=None)
    assert steps[0].name == "share"
    assert [step for step in steps if not step.ok] == []
    export = push(factories.draft(row.org, lines=2).pk, actor=None).export
    assert deliver(row.pk).sent == 1
    assert (share / "in" / export.filename).read_text() == "INT-0001|10.500\nINT-0002|10.500\n"
    (share / "ack" / f"{export.filename}.ok").write_bytes(b"77")
    poll(row.pk)
    export.refresh_from_db()
    assert (export.status, export.erp_order_id) == (ExportStatus.ACKED, "77")


def test_our_connector_works_over_an_installed_transport(db, installed, share):
    row = create_connection(factories.org(), "DROPZONE_JSON_V1", config_of(share), actor=None)
    export = push(factories.draft(row.org).pk, actor=None).export

    assert deliver(row.pk).sent == 1
    assert (share / "in" / export.filename).read_bytes().startswith(b"{")


def test_the_form_offers_both(db, installed):
    client = Client()
    client.force_login(factories.user(factories.org(), Role.INTEGRATOR))

    page = client.get(
        reverse("admin:erp_connectors_erpconnection_add") + "?connector_type=CSV"
    ).content.decode()

    assert 'value="share"' in page
    assert "Mounted share" in page
    assert 'name="separator"' in page
    assert 'data-modes="share"' in page


def test_a_key_is_refused_with_the_part_that_it_belongs_to(installed, tmp_path):
    with pytest.raises(ConfigError) as caught:
        parse_config("CSV", config_of(tmp_path, host="erp", nothing=1, separator=";;"))

    assert caught.value.problems.keys() == {"host", "nothing", "separator"}
    assert caught.value.problems["host"] == Message("config.of_other_mode", modes=foreign("sftp"))
    assert caught.value.problems["nothing"] == Message(
        "config.unknown_key_of_mode", mode="share", connector="CSV"
    )


def test_ours_are_not_replaced(installed):
    assert isinstance(registry.connector_for("DROPZONE_JSON_V1"), DropzoneJsonV1)
    assert registry.transport_for("sftp") is SftpTransport
    assert registry.transport_modes() == ["sftp", "s3", "filesystem", "share"]
    assert {"separator", "share", "host", "export_path"} <= {field.name for field in config_fields("CSV")}


def test_a_package_that_cannot_be_loaded_stops_the_start(installed, tmp_path):
    assert checks.installed_parts(None) == []

    with imported_from(examples.install(tmp_path, more="broken = my_package.share:NoSuchTransport\n")):
        found = checks.installed_parts(None)

    assert {message.id for message in found} == {"erp_connectors.E007"}
    assert "NoSuchTransport" in found[0].msg


def test_what_is_stored_for_a_removed_package_is_not_shown(db, installed, share):
    row = create_connection(factories.org(), "DROPZONE_JSON_V1", config_of(share), actor=None)
    row.config = {**row.config, "mode": "gone", "pin_code": "4711"}

    assert public_config(row)["pin_code"] == "********"
    assert public_config(row)["export_path"] == "/in"


class TestShare(TransportSuite):
    @pytest.fixture
    def place(self, tmp_path):
        example = examples.module_of("transports.md", "example_share")
        (tmp_path / "zone").mkdir()
        policy = TransportPolicy(dropzone_roots=(str(tmp_path),))
        options = example.ShareOptions(str(tmp_path))
        return Place(lambda: example.ShareTransport(options, policy), tmp_path / "zone", "/zone")

    @pytest.fixture
    def transport(self, place):
        with place.connect() as opened:
            yield opened


def test_a_file_of_an_installed_connector_answers_several_orders(db, installed, share):
    row = create_connection(factories.org(), "CSV", config_of(share), actor=None)
    exports = [push(order.pk, actor=None).export for order in factories.drafts(row.org, 2)]
    deliver(row.pk)
    lines = [f"{exports[0].filename};ok;77", f"{exports[1].filename};no;blocked"]
    (share / "ack" / "monday.answers").write_text("\n".join(lines))

    report = poll(row.pk)

    assert (report.accepted, report.refused, report.moved) == (1, 1, 1)
    assert (share / "ack" / "processed" / "monday.answers").exists()


class TestCsv(ConnectorSuite):
    config = {"separator": "|"}
    answers = (
        AnswerFile("{}.ok", b"4711"),
        AnswerFile("{}.no", b"unknown customer"),
        AnswerFile("monday.answers", b"{};ok;4711\nother.csv;no;unknown customer\n", answers=2),
    )

    @pytest.fixture
    def connector(self):
        return examples.module_of("connectors.md", "example_connector").CsvConnector()
