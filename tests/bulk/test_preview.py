"""What a bulk action says before it is confirmed is what it then does."""

from collections import Counter

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from erp_connectors.bulk import preview, runs
from erp_connectors.bulk.models import BulkAction, BulkRow, Outcome
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories

pytestmark = pytest.mark.django_db
S = DraftStatus


@pytest.fixture
def org(tmp_path):
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


@pytest.fixture
def ops(org):
    return factories.user(org)


def pushed(org, *, status=ExportStatus.PENDING, **fields):
    """An order with an export that has come so far."""
    export = push(factories.draft(org).pk, actor=None).export
    ERPExport.objects.filter(pk=export.pk).update(status=status, **fields)
    order_status = {ExportStatus.PENDING: S.PUSHING, ExportStatus.FAILED: S.ERROR}.get(status, S.PUSHED)
    DraftOrder.objects.filter(pk=export.draft_order_id).update(status=order_status)
    return export.draft_order


def one_of_each(org):
    """Orders in every state that an action can meet."""
    incomplete = factories.draft(org, status=S.NEEDS_REVIEW)
    incomplete.lines.update(internal_sku="")
    was_complete = factories.draft(org, status=S.READY)
    was_complete.lines.update(uom="")
    return [
        *(
            factories.draft(org, status=status)
            for status in S
            if status not in (S.PUSHING, S.PUSHED, S.ERROR)
        ),
        incomplete,
        was_complete,
        pushed(org),
        pushed(org, status=ExportStatus.SENT),
        pushed(org, status=ExportStatus.ACKED, erp_order_id="SO-1"),
        *(
            pushed(org, status=ExportStatus.FAILED, failed_as=failed_as)
            for failed_as in (FailedAs.NOT_SENT, FailedAs.REFUSED, FailedAs.UNKNOWN)
        ),
    ]


@pytest.mark.parametrize("action", BulkAction)
def test_what_is_foretold_is_what_happens(org, ops, action):
    orders = one_of_each(org)
    ids = factories.ids(orders)
    foretold = {
        row.order.pk: group.outcome
        for group in preview.preview(action, ids, actor=ops)
        for row in group.shown
    }

    run = runs.make(action, ids, actor=ops)
    runs.confirm(run)

    assert {Outcome.DONE, Outcome.SAME, Outcome.REFUSED} == set(foretold.values())
    became = dict(BulkRow.objects.filter(run=run).values_list("draft_order", "outcome"))
    assert became == foretold


def test_a_push_is_grouped_by_what_it_means(org, ops):
    orders = [factories.draft(org), factories.draft(org), pushed(org, status=ExportStatus.SENT)]
    orders += [pushed(org, status=ExportStatus.ACKED), factories.draft(org, status=S.READY)]

    groups = preview.preview(BulkAction.PUSH, factories.ids(orders), actor=ops)

    assert [(group.count, group.outcome) for group in groups] == [
        (2, Outcome.DONE),
        (1, Outcome.SAME),
        (1, Outcome.SAME),
        (1, Outcome.REFUSED),
    ]
    assert {group.message.code for group in groups} == {
        "bulk.pushes",
        "bulk.already_sent",
        "bulk.already_accepted",
        "bulk.wrong_status",
    }
    assert preview.counts(groups) == Counter({Outcome.DONE: 2, Outcome.SAME: 2, Outcome.REFUSED: 1})


def test_what_an_order_lacks_is_told_of_that_order(org, ops):
    order = factories.draft(org, status=S.READY)
    order.lines.update(internal_sku="")

    (group,) = preview.preview(BulkAction.APPROVE, [order.pk], actor=ops)

    assert (group.outcome, group.message.code) == (Outcome.REFUSED, "bulk.incomplete")
    assert [(one.code, one.params["line"], one.params["gap"]) for one in group.shown[0].missing] == [
        ("order.in_line", line, Message("order.sku_missing")) for line in (1, 2)
    ]
    assert group.shown[0].details == ["line 1: SKU is missing", "line 2: SKU is missing"]


def test_without_a_connection_nothing_is_promised():
    bare = factories.org()
    order = factories.draft(bare)

    (group,) = preview.preview(BulkAction.PUSH, [order.pk], actor=factories.user(bare))

    assert (group.outcome, group.count) == (Outcome.REFUSED, 1)


@pytest.mark.parametrize("action", BulkAction)
def test_many_take_the_statements_of_one(org, ops, action):
    def statements(ids):
        with CaptureQueriesContext(database) as captured:
            preview.preview(action, ids, actor=ops)
        return len(captured)

    few = one_of_each(org)
    many = [*few, *one_of_each(org), *one_of_each(org)]

    assert statements(factories.ids(many)) == statements(factories.ids(few)) <= 8


def test_only_the_first_of_a_group_are_kept(org, ops, monkeypatch):
    monkeypatch.setattr(preview, "SHOWN", 2)
    orders = [factories.draft(org) for _ in range(5)]

    (group,) = preview.preview(BulkAction.PUSH, factories.ids(orders), actor=ops)

    assert (group.count, [row.order.pk for row in group.shown]) == (5, factories.ids(orders)[:2])
