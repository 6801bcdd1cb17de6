"""What an order needs before it is approved, and what editing does to it."""

from datetime import date
from decimal import Decimal

import pytest

from orderflow.audit.models import Action, AuditLog
from orderflow.messages import Message, english
from orderflow.orders.approval import NotReady, approve
from orderflow.orders.editing import editing
from orderflow.orders.models import DraftOrder
from orderflow.orders.readiness import missing_for_ready
from orderflow.orders.review import mark_ready, reject
from orderflow.orders.states import DraftStatus
from orderflow.transitions import IllegalMove
from tests import factories
from tests.refusals import refused

pytestmark = pytest.mark.django_db
S = DraftStatus


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def actor(org):
    return factories.user(org)


def actions(draft):
    return list(AuditLog.objects.filter(entity_id=str(draft.pk)).values_list("action", flat=True))


HEADER_GAPS = [({"customer": None}, "customer is missing"), ({"currency": ""}, "currency is missing")]
LINE_GAPS = [
    ({"qty": Decimal(0)}, "line 2: quantity must be above 0"),
    ({"qty": Decimal(-1)}, "line 2: quantity must be above 0"),
    ({"uom": ""}, "line 2: unit is missing"),
    ({"internal_sku": ""}, "line 2: SKU is missing"),
]


def test_a_complete_order_lacks_nothing_even_without_prices_dates_and_document(org):
    draft = factories.draft(org, order_date=None, external_order_number="")
    draft.lines.update(unit_price=None, product_description="", customer_sku_raw="", currency="")

    assert missing_for_ready(draft) == []


@pytest.mark.parametrize(("gap", "told"), HEADER_GAPS)
def test_a_gap_in_the_header_is_named(org, gap, told):
    draft = factories.draft(org)
    DraftOrder.objects.filter(pk=draft.pk).update(**gap)

    assert [english(gap) for gap in missing_for_ready(DraftOrder.objects.get(pk=draft.pk))] == [told]


@pytest.mark.parametrize(("gap", "told"), LINE_GAPS)
def test_a_gap_in_a_line_is_named_with_its_number(org, gap, told):
    draft = factories.draft(org, lines=3)
    draft.lines.filter(line_no=2).update(**gap)

    assert [english(gap) for gap in missing_for_ready(draft)] == [told]


def test_an_order_without_lines_is_not_complete_and_every_gap_is_told_at_once(org):
    draft = factories.draft(org, lines=0, currency="")

    assert missing_for_ready(draft) == [Message("order.currency_missing"), Message("order.no_lines")]


def test_approval_names_the_approver_and_is_audited(org, actor):
    draft = factories.draft(org, status=S.READY)

    approved = approve(draft.pk, actor=actor)

    draft.refresh_from_db()
    assert (draft.status, draft.approved_by) == (S.APPROVED, actor)
    assert draft.approved_at == approved.approved_at
    assert actions(draft) == [Action.DRAFT_APPROVED]


@pytest.mark.parametrize("status", sorted(set(S) - {S.READY}))
def test_only_a_ready_order_is_approved(org, actor, status):
    draft = factories.draft(org, status=status)

    with refused(IllegalMove, "order.approve_needs_ready"):
        approve(draft.pk, actor=actor)
    assert actions(draft) == []


def in_line(line, gap):
    return Message("order.in_line", line=line, gap=Message(gap))


def test_a_ready_order_that_lost_something_is_not_approved(org, actor):
    draft = factories.draft(org, status=S.READY)
    draft.lines.update(uom="")

    missing = [in_line(line, "order.unit_missing") for line in (1, 2)]
    with refused(NotReady, "order.not_ready", missing=missing):
        approve(draft.pk, actor=actor)


@pytest.mark.parametrize("use_case", [approve, mark_ready, reject])
def test_another_orgs_order_is_not_there(org, use_case):
    draft = factories.draft(org, status=S.READY)

    with pytest.raises(DraftOrder.DoesNotExist):
        use_case(draft.pk, actor=factories.user(factories.org()))
    with pytest.raises(DraftOrder.DoesNotExist), editing(draft.pk, actor=factories.user(factories.org())):
        pass


@pytest.mark.parametrize("status", [S.EXTRACTED, S.NEEDS_REVIEW])
def test_a_reviewed_order_is_marked_ready_once_complete(org, actor, status):
    draft = factories.draft(org, status=status)
    draft.lines.filter(line_no=1).update(internal_sku="")

    with refused(NotReady, "order.not_ready", missing=[in_line(1, "order.sku_missing")]):
        mark_ready(draft.pk, actor=actor)
    draft.lines.update(internal_sku="A")

    assert mark_ready(draft.pk, actor=actor).status == S.READY


@pytest.mark.parametrize("status", sorted(set(S) - {S.EXTRACTED, S.NEEDS_REVIEW}))
def test_nothing_else_is_marked_ready(org, actor, status):
    with refused(IllegalMove, "order.mark_ready_needs_review"):
        mark_ready(factories.draft(org, status=status).pk, actor=actor)


def test_a_rejected_order_is_never_edited_or_revived(org, actor):
    draft = reject(factories.draft(org, status=S.NEEDS_REVIEW).pk, actor=actor)

    with pytest.raises(IllegalMove):
        mark_ready(draft.pk, actor=actor)
    with pytest.raises(IllegalMove), editing(draft.pk, actor=actor):
        pass


@pytest.mark.parametrize("part", ["header", "line"])
def test_editing_an_approved_order_takes_the_approval_back(org, actor, part):
    draft = factories.draft(org)

    with editing(draft.pk, actor=actor) as locked:
        if part == "header":
            locked.requested_delivery_date = date(2026, 12, 24)
            locked.save()
        else:
            locked.lines.filter(line_no=1).update(qty=Decimal(3))

    before = draft.approved_by.email
    draft.refresh_from_db()
    assert (draft.status, draft.approved_by, draft.approved_at) == (S.NEEDS_REVIEW, None, None)
    entry = AuditLog.objects.get(entity_id=str(draft.pk))
    assert entry.action == Action.APPROVAL_REVERTED
    assert entry.before == {"status": "APPROVED", "approved_by": before}


@pytest.mark.parametrize("status", [S.PUSHING, S.PUSHED, S.REJECTED])
def test_an_order_on_its_way_is_not_edited(org, actor, status):
    draft = factories.draft(org, status=status)

    with refused(IllegalMove, "order.not_editable"), editing(draft.pk, actor=actor) as locked:
        locked.lines.all().delete()
    assert draft.lines.count() == 2


def test_an_edited_order_in_error_needs_review_again(org, actor):
    draft = factories.draft(org, status=S.ERROR)

    with editing(draft.pk, actor=actor) as locked:
        locked.lines.update(internal_sku="OTHER")

    draft.refresh_from_db()
    assert draft.status == S.NEEDS_REVIEW


def test_a_ready_order_is_not_left_incomplete(org, actor):
    draft = factories.draft(org, status=S.READY)

    missing = [in_line(2, "order.unit_missing")]
    with refused(NotReady, "order.not_ready", missing=missing), editing(draft.pk, actor=actor) as locked:
        locked.lines.filter(line_no=2).update(uom="")

    assert missing_for_ready(draft) == []


def test_a_failed_edit_leaves_the_approval(org, actor):
    draft = factories.draft(org)

    with pytest.raises(ZeroDivisionError), editing(draft.pk, actor=actor) as locked:
        locked.lines.all().delete()
        raise ZeroDivisionError

    draft.refresh_from_db()
    assert draft.status == S.APPROVED
    assert draft.lines.count() == 2
