"""A file holds the complete order, or no file is written."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.faults import ORDER_INCOMPLETE, Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports import order_snapshot
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from orderflow.orders.models import DraftOrder, DraftOrderLine
from tests import factories


@pytest.fixture
def order(site) -> DraftOrder:
    draft = factories.draft(site.org, lines=5)
    push(draft.pk, actor=None)
    return draft


@pytest.mark.parametrize("read", [[], [1, 2, 3], [1, 2, 3, 4, 5, 6]], ids=["none", "fewer", "more"])
def test_no_file_is_written_if_the_lines_read_are_not_those_counted(site, order, at_crashpoint, read):
    """Other lines appear between the claim and the read, as if a cursor of another session had answered."""

    def mix_up() -> None:
        DraftOrderLine.objects.filter(draft_order=order).exclude(line_no__in=read).delete()
        if 6 in read:
            DraftOrderLine.objects.create(draft_order=order, line_no=6, qty=1, currency="EUR")

    at_crashpoint("claimed", mix_up)
    deliver(site.connection.pk)

    export = ERPExport.objects.get(draft_order=order)
    assert (export.status, export.error_json["code"]) == (ExportStatus.PENDING, "ORDER_INCOMPLETE")
    assert site.published() == {}
    assert export.sha256 == ""


def test_the_order_goes_out_complete_at_the_next_attempt(site, order, at_crashpoint):
    line = DraftOrderLine.objects.get(draft_order=order, line_no=5)
    at_crashpoint("claimed", lambda: DraftOrderLine.objects.filter(pk=line.pk).delete())
    deliver(site.connection.pk)
    DraftOrderLine.objects.bulk_create([line])
    past = timezone.now() - timedelta(hours=1)
    ERPExport.objects.update(next_attempt_at=past)
    type(site.connection).objects.update(retry_at=past)

    at_crashpoint("claimed", lambda: None)
    assert deliver(site.connection.pk).sent == 1

    (body,) = site.published().values()
    assert [one["line_no"] for one in json.loads(body)["lines"]] == [1, 2, 3, 4, 5]


def test_an_order_that_is_not_returned_is_not_taken_for_deleted(db):
    draft = factories.draft(factories.org(), lines=1)
    DraftOrderLine.objects.filter(draft_order=draft).delete()
    draft.delete()

    document = order_snapshot.order_documents({draft.pk: 1})[draft.pk]

    assert isinstance(document, Fault)
    assert document.kind is ORDER_INCOMPLETE
