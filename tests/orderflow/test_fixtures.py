import importlib.util
import json
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from erp_connectors import archive
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.payload_store import bytes_of
from erp_connectors.states import ExportStatus
from orderflow.orders.models import DraftOrder, DraftOrderLine
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role

pytestmark = pytest.mark.deep

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def build():
    spec = importlib.util.spec_from_file_location("build", FIXTURES / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def loaded(db):
    call_command("loaddata", str(FIXTURES / "demo.json"), verbosity=0)


def test_the_file_is_what_its_builder_makes(build):
    assert (FIXTURES / "demo.json").read_text(encoding="utf-8") == build.render()


def test_approved_and_ready_orders_are_complete_and_the_others_lack_something(loaded):
    orders = DraftOrder.objects.prefetch_related("lines")

    assert orders.count() >= 40
    for order in orders:
        complete = order.status not in (DraftStatus.NEW, DraftStatus.EXTRACTED, DraftStatus.NEEDS_REVIEW)
        assert bool(missing_for_ready(order)) != complete, order


def test_it_shows_what_real_orders_look_like(loaded):
    lines = DraftOrderLine.objects
    assert DraftOrder.objects.filter(status=DraftStatus.APPROVED).count() >= 24
    assert set(DraftOrder.objects.values_list("currency", flat=True)) == {"EUR", "CHF", "SEK"}
    assert lines.filter(unit_price=None).exists()
    assert max(order.lines.count() for order in DraftOrder.objects.all()) == 500
    assert any(line.unit_price and line.unit_price * 100 % 1 for line in lines.all()[:200])


def test_every_status_is_there_and_what_was_pushed_has_its_export(loaded):
    assert set(DraftOrder.objects.values_list("status", flat=True)) == set(DraftStatus.values)
    assert set(ERPExport.objects.values_list("status", flat=True)) == set(ExportStatus.values)
    for export in ERPExport.objects.exclude(status=ExportStatus.PENDING):
        assert json.loads(bytes_of(export))["draft_order_id"] == str(export.draft_order_id)
        assert archive.sha256(bytes_of(export)) == export.sha256
    assert ERPConnection.objects.get().config["mode"] == "filesystem"


def test_everybody_can_log_in(loaded, build, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    roles = {
        user.role for user in User.objects.all() if authenticate(username=user.email, password=build.PASSWORD)
    }

    assert roles == {None, *Role.values}
