"""What the database itself refuses, and what a saved connection looks like in it."""

import pytest
from django.db import IntegrityError, connection, transaction

from erp_connectors.faults import Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.services.exports.push import push
from erp_connectors.states import ConnectionStatus, ExportStatus
from tests import factories

pytestmark = pytest.mark.django_db
SECRET = "sehr-geheimes-passwort"
CONFIG = {"mode": "filesystem", "export_path": "/in", "password": SECRET}


def stored_config(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM erp_connectors_erpconnection WHERE id = %s", [adapted(row.pk)])
        return cursor.fetchone()[0]


def adapted(pk):
    return pk.hex if connection.vendor == "sqlite" else pk


def test_no_secret_is_readable_in_the_database():
    row = factories.connection(factories.org(), CONFIG)

    assert SECRET not in stored_config(row)
    assert "export_path" not in stored_config(row)
    assert ERPConnection.objects.get(pk=row.pk).config == CONFIG


def test_a_config_copied_to_another_orgs_connection_is_refused_by_name():
    mine, theirs = (factories.connection(factories.org(), CONFIG) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE erp_connectors_erpconnection SET config = %s WHERE id = %s",
            [stored_config(mine), adapted(theirs.pk)],
        )

    with pytest.raises(Fault) as caught:
        _ = ERPConnection.objects.get(pk=theirs.pk).config
    assert (caught.value.code, caught.value.detail.params["id"]) == ("CONFIG_UNREADABLE", str(theirs.pk))


def test_a_webhook_that_no_key_opens_is_called_a_webhook():
    mine, theirs = (
        Subscription.objects.create(org=factories.org(), channel=Channel.WEBHOOK, secrets={"current": SECRET})
        for _ in range(2)
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM notify_subscription WHERE id = %s", [adapted(mine.pk)])
        cursor.execute(
            "UPDATE notify_subscription SET secrets = %s WHERE id = %s",
            [cursor.fetchone()[0], adapted(theirs.pk)],
        )

    with pytest.raises(Fault, match=f"Webhook {theirs.pk}"):
        _ = Subscription.objects.get(pk=theirs.pk).secrets


def test_saving_something_else_keeps_the_sealed_text():
    row = factories.connection(factories.org(), CONFIG)
    before = stored_config(row)

    again = ERPConnection.objects.get(pk=row.pk)
    again.status = ConnectionStatus.DISABLED
    again.save()

    assert stored_config(row) == before


def test_a_form_saved_meanwhile_does_not_undo_a_workers_claim():
    row = factories.connection(factories.org(), CONFIG)
    stale = ERPConnection.objects.get(pk=row.pk)
    ERPConnection.objects.filter(pk=row.pk).update(delivery_lease_token="token")

    stale.save()

    assert ERPConnection.objects.get(pk=row.pk).delivery_lease_token == "token"


def test_one_active_connection_per_org_and_type_and_any_number_of_disabled_ones():
    org = factories.org()
    factories.connection(org, CONFIG)
    for _ in range(2):
        factories.connection(org, CONFIG, status=ConnectionStatus.DISABLED)

    with pytest.raises(IntegrityError), transaction.atomic():
        factories.connection(org, CONFIG)


def export():
    org = factories.org()
    factories.connection(org, CONFIG)
    return push(factories.draft(org).pk, actor=None).export


def test_a_draft_has_one_live_export():
    first = export()
    twin = {
        field.attname: getattr(first, field.attname)
        for field in ERPExport._meta.concrete_fields
        if field.name != "id"
    }

    with pytest.raises(IntegrityError), transaction.atomic():
        ERPExport.objects.create(**{**twin, "filename": "another.json"})


def test_a_file_name_is_used_once():
    first, second = export(), export()

    with pytest.raises(IntegrityError), transaction.atomic():
        ERPExport.objects.filter(pk=second.pk).update(filename=first.filename)


@pytest.mark.parametrize(
    "values",
    [{"status": "LOST"}, {"status": ExportStatus.FAILED}, {"failed_as": "UNKNOWN"}],
    ids=["unknown status", "failed without why", "why without failed"],
)
def test_a_row_can_not_contradict_itself(values):
    row = export()

    with pytest.raises(IntegrityError), transaction.atomic():
        ERPExport.objects.filter(pk=row.pk).update(**values)
