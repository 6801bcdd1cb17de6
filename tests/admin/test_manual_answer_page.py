"""Recording an answer that came by phone, in the admin; and what is overdue."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.deadlines import mark_overdue
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.pages import levels

TOLD = {"erp_order_id": "SO-4711", "note": "Frau Müller rief an"}


@pytest.fixture
def export(db, tmp_path, settings):
    """One that was sent an hour ago and is answered within a minute, as a rule."""
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    org = factories.org()
    config = {
        "mode": "filesystem", "export_path": str(tmp_path), "ack_path": str(tmp_path), "ack_timeout": 60
    }  # fmt: skip
    connection = factories.connection(org, config)
    row = push(factories.draft(org).pk, actor=None).export
    deliver(connection.pk)
    ERPExport.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    return again(row)


@pytest.fixture
def ops(export):
    return as_role(export.org, Role.OPS)


def again(row):
    return ERPExport.objects.get(pk=row.pk)


def as_role(org, role):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def page(name, export):
    return reverse(f"admin:{name}", args=[export.pk])


ACCEPTED, REFUSED, CHANGE = (
    "erp_export_mark_accepted", "erp_export_mark_refused", "erp_connectors_erpexport_change",
)  # fmt: skip


def test_an_acceptance_is_asked_for_and_recorded(ops, export):
    assert page(ACCEPTED, export) in ops.get(page(CHANGE, export)).content.decode()
    assert ops.get(page(ACCEPTED, export)).status_code == 200
    assert again(export).status == ExportStatus.SENT

    told = ops.post(page(ACCEPTED, export), TOLD, follow=True).content.decode()

    assert "Frau Müller rief an" in told
    assert (again(export).status, again(export).erp_order_id) == (ExportStatus.ACKED, "SO-4711")


def test_a_refusal_is_recorded_with_its_reason(ops, export):
    told = ops.post(page(REFUSED, export), {"note": "Kunde gesperrt"}, follow=True).content.decode()

    assert "Recorded: Failed" in told
    assert again(export).error_json["params"] == {"message": "Kunde gesperrt"}


def test_what_is_missing_or_contradicts_changes_nothing(ops, export):
    assert "This field is required" in ops.post(page(ACCEPTED, export), {"note": "x"}).content.decode()
    unreadable = ops.post(page(ACCEPTED, export), {**TOLD, "erp_order_id": "SO\u20281"})
    assert "contains a line break" in unreadable.content.decode()
    assert again(export).status == ExportStatus.SENT

    ops.post(page(ACCEPTED, export), TOLD, follow=True)
    told = ops.post(page(REFUSED, export), {"note": "doch nicht"}, follow=True)

    assert levels(told) == ["error"]
    assert "SO-4711" in told.content.decode()
    assert again(export).status == ExportStatus.ACKED


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INTEGRATOR])
@pytest.mark.parametrize("name", [ACCEPTED, REFUSED])
def test_who_may_not_push_may_not_answer_for_the_erp(export, role, name):
    client = as_role(export.org, role)

    assert page(name, export) not in client.get(page(CHANGE, export)).content.decode()
    assert client.get(page(name, export)).status_code == 403
    assert client.post(page(name, export), TOLD).status_code == 403
    assert again(export).status == ExportStatus.SENT


@pytest.mark.parametrize("name", [ACCEPTED, REFUSED])
def test_another_orgs_export_is_not_there(export, name):
    stranger = as_role(factories.org(), Role.ADMIN)

    assert stranger.post(page(name, export), TOLD).status_code == 404
    assert again(export).status == ExportStatus.SENT


def test_what_is_overdue_is_filtered_and_says_since_when(ops, export):
    list_page = reverse("admin:erp_connectors_erpexport_changelist")
    mark_overdue(timezone.now())

    assert export.filename in ops.get(f"{list_page}?overdue=yes").content.decode()
    shown = ops.get(page(CHANGE, export)).content.decode()
    assert "overdue since" in shown
    assert "60 s, as configured" in shown

    ERPExport.objects.update(sent_at=timezone.now())
    mark_overdue(timezone.now())
    assert export.filename not in ops.get(f"{list_page}?overdue=yes").content.decode()
    assert "overdue since" not in ops.get(page(CHANGE, export)).content.decode()
