"""Commands, the API, the admin, bulk runs and status pages ask one rule if a push may be retried."""

import pytest
from django.db import transaction

from erp_connectors.admin.exports.row_actions import EXPORT_ACTIONS
from erp_connectors.admin.orders.row_actions import ORDER_ACTIONS
from erp_connectors.bulk import preview
from erp_connectors.bulk.execute import execute_chunk
from erp_connectors.bulk.models import BulkAction, Outcome
from erp_connectors.messages import NO_CONNECTION
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import PushRefused, push, retry_push
from erp_connectors.services.exports.retry import RetryOutcome, retry_exports
from erp_connectors.services.exports.retry_rule import RetryRefusal, refusal_message, refuse_retry
from erp_connectors.services.status.export_status import summarize_export
from erp_connectors.services.status.timeline import exports_of
from erp_connectors.states import ConnectionStatus, ExportStatus, FailedAs
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


def failed(org, status=S.ERROR):
    """Return the failed export of an order that has this status now."""
    export = push(factories.draft(org).pk, actor=None).export
    ERPExport.objects.filter(pk=export.pk).update(status=ExportStatus.FAILED, failed_as=FailedAs.NOT_SENT)
    DraftOrder.objects.filter(pk=export.draft_order_id).update(status=status)
    return ERPExport.objects.get(pk=export.pk)


def decisions_on(export, ops):
    """Return the decision of each place about a retry of this export: True if it may be retried."""
    (by_export,) = retry_exports([export.pk], actor=ops, dry_run=True)
    (previewed,) = preview.preview(BulkAction.RETRY, [export.draft_order_id], actor=ops)
    (action,) = [action for action in EXPORT_ACTIONS if action.name == "retry"]
    (order_action,) = [action for action in ORDER_ACTIONS if action.name == "retry"]
    offered, order_offered = action.is_available(export), order_action.is_available(export.draft_order)
    return {
        "API, many": by_export.outcome is RetryOutcome.RETRY,
        "bulk preview": previewed.outcome == Outcome.DONE,
        "admin, export": offered and not action.preview(export).obstacles,
        "admin, order": order_offered and not order_action.preview(export.draft_order).obstacles,
        "status page": summarize_export(export, exports_of(export.draft_order)).action == "retry",
        "bulk run": _does(lambda: _bulk_run(export, ops)),
        "command, API": _does(lambda: retry_push(export.draft_order_id, actor=ops)),
    }


def _bulk_run(export, ops):
    (result,) = execute_chunk(BulkAction.RETRY, [export.draft_order_id], actor=ops).values()
    if result.outcome != Outcome.DONE:
        assert result.why
        raise PushRefused(result.why)


class Undo(Exception):
    """Raised to roll back the retry."""


def _does(action):
    try:
        with transaction.atomic():
            action()
            raise Undo
    except Undo:
        return True
    except PushRefused:
        return False


@pytest.mark.parametrize("status", [s for s in S if s not in (S.PUSHING, S.PUSHED)])
def test_each_place_allows_a_retry_in_the_same_statuses(org, status):
    decisions = decisions_on(failed(org, status), factories.user(org))

    assert set(decisions.values()) == {status == S.ERROR}, decisions


def test_each_place_refuses_a_retry_without_a_connection(org):
    export = failed(org)
    ERPConnection.objects.update(status=ConnectionStatus.DISABLED)

    decisions = decisions_on(export, factories.user(org))

    assert set(decisions.values()) == {False}, decisions


@pytest.mark.parametrize(
    ("status", "export", "newest", "connected", "refusal"),
    [
        (S.ERROR, 1, 1, True, None),
        (S.ERROR, None, None, True, None),
        (S.ERROR, 1, 2, True, (RetryRefusal.SUPERSEDED, "retry.superseded")),
        (S.PUSHED, 1, 2, False, (RetryRefusal.SUPERSEDED, "retry.superseded")),
        (S.PUSHED, 1, 1, True, (RetryRefusal.ALREADY_PUSHED, "push.sent_before")),
        (S.PUSHING, 1, 1, False, (RetryRefusal.ALREADY_PUSHED, "push.on_its_way")),
        (S.PUSHED, None, None, True, (RetryRefusal.WRONG_STATUS, "retry.not_in_error")),
        (S.APPROVED, 1, 1, False, (RetryRefusal.WRONG_STATUS, "retry.not_in_error")),
        (S.ERROR, 1, 1, False, (RetryRefusal.NO_CONNECTION, NO_CONNECTION.code)),
    ],
)
def test_the_first_reason_that_applies_is_given(status, export, newest, connected, refusal):
    draft = DraftOrder(status=status, external_order_number="PO-1")

    given = refuse_retry(draft, export, newest_id=newest, connected=lambda: connected)

    assert (given and (given, refusal_message(given, draft, newest).code)) == refusal


def test_an_older_export_is_refused_by_name_of_the_newer(org):
    older = failed(org)
    newer = retry_push(older.draft_order_id, actor=None).export

    (result,) = retry_exports([older.pk], actor=factories.user(org), dry_run=False)

    assert (result.outcome, result.why) == (
        RetryOutcome.REFUSED,
        Message("retry.superseded", export=str(newer.pk)),
    )
    assert result.new_export_id is None
