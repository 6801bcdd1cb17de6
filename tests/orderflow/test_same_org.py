"""No row of an org points to a row of another: refused at the field, in the services and by the database."""

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import ForeignKey
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.services.exports.push import push
from orderflow.orders.models import Document, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.rls.policies import path_of
from orderflow.tenancy.same_org import SameOrg
from tests import factories

# Pairs that may cross, and why.
MAY_CROSS = {
    "retention.RetentionShare.run": "a run over all orgs has a share of each",
}
# Tables without an org of their own that point to two rows of orgs: no foreign key can compare those. One function
# each writes them, from rows of one org.
TWO_WAYS = {
    "orders.ImportedOrder": "orders/importing/writing.py: customer and order of the org that is imported into",
    "bulk.BulkRow": "bulk/runs.py: orders that the user sees; platform staff's runs are over many orgs",
    "notify.PendingEvent": "outbox/record.py: connection and export of the subscription's org",
}


def owned() -> list[Any]:
    return [model for model in apps.get_models() if model._meta.managed and path_of(model)]


def has_org(model: Any) -> bool:
    return any(field.name == "org" for field in model._meta.concrete_fields)


def pointers(model: Any) -> list[Any]:
    """Return the foreign keys to rows of orgs. Users act in other orgs than their own: platform staff do."""
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
        and field.related_model not in (Org, User)
        and path_of(field.related_model)
    ]


def constraints(model: Any) -> dict[str, SameOrg]:
    return {one.field: one for one in model._meta.constraints if isinstance(one, SameOrg)}


def test_every_pair_of_tables_with_an_org_has_its_constraint():
    lacking = {
        f"{model._meta.label}.{field.name}"
        for model in owned()
        for field in pointers(model)
        if has_org(model) and has_org(field.related_model) and field.name not in constraints(model)
    }
    assert lacking == MAY_CROSS.keys()


def test_every_table_that_points_to_two_rows_of_orgs_without_an_own_org_is_known():
    two_ways = {model._meta.label for model in owned() if not has_org(model) and len(pointers(model)) > 1}
    assert two_ways == TWO_WAYS.keys()


@pytest.fixture
def orgs(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return [world(tmp_path) for _ in range(2)]


def world(folder) -> dict[type, Any]:
    org = factories.org()
    erp = factories.connection(org, {"mode": "filesystem", "export_path": str(folder)})
    document = Document.objects.create(org=org, file_name="a.pdf", sha256="0" * 64, size=1)
    draft = factories.draft(org, document=document)
    export = push(draft.pk, actor=factories.user(org)).export
    draft.refresh_from_db()
    ack = AckFile.objects.create(org=org, connection=erp, export=export, name="ack_a.json")
    told = Subscription.objects.create(org=org, connection=erp, channel=Channel.EMAIL, addresses="a@b.de")
    rows = [org, erp, document, draft, export, ack, told, draft.customer]
    return {type(row): row for row in rows}


def test_the_database_refuses_each(orgs):
    own, other = orgs
    tried = 0
    for model in owned():
        for name in constraints(model):
            foreign = other[model._meta.get_field(name).related_model]
            with pytest.raises(IntegrityError), transaction.atomic():
                model.objects.filter(pk=own[model].pk).update(**{name: foreign})
                connection.check_constraints()
            tried += 1
    assert tried >= 7


def test_the_database_refuses_to_move_a_row_that_others_point_to(orgs):
    own, other = orgs
    with pytest.raises(IntegrityError), transaction.atomic():
        ERPExport.objects.filter(pk=own[ERPExport].pk).update(org=other[Org])
        connection.check_constraints()


def test_platform_staff_are_told_at_the_field(orgs):
    own, other = orgs
    client = Client()
    client.force_login(factories.user(None))
    draft = factories.draft(own[Org], status=DraftStatus.NEEDS_REVIEW)
    lines = {"lines-TOTAL_FORMS": "0", "lines-INITIAL_FORMS": "0"}
    foreign = factories.customer(other[Org])

    page = client.post(
        reverse("admin:orders_draftorder_change", args=[draft.pk]),
        {
            "external_order_number": "PO-1",
            "customer": str(foreign.pk),
            "document": str(other[Document].pk),
            **lines,
        },
    )

    assert page.context["adminform"].form.errors.keys() == {"customer", "document"}
    assert DraftOrder.objects.get(pk=draft.pk).customer == draft.customer


def test_a_program_of_platform_staff_is_told_at_the_field(orgs):
    own, other = orgs
    program = APIClient()
    program.force_authenticate(factories.user(None))
    draft = factories.draft(own[Org], status=DraftStatus.NEEDS_REVIEW)
    foreign = factories.customer(other[Org])

    answer = program.patch(f"/api/v1/draft-orders/{draft.pk}", {"customer": str(foreign.pk)}, format="json")

    assert answer.status_code == 422
    assert answer.json()["error"]["details"].keys() == {"customer"}
    assert DraftOrder.objects.get(pk=draft.pk).customer == draft.customer
