"""An answer that came while its export's outcome was unknown and its order under way again: it is applied later."""

import json

import pytest
import structlog

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.dismiss import can_dismiss_ack
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import retry_push
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import Message
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests.services.acks.test_poll import ACKED, FAILED
from tests.services.delivery.test_deliver import lost  # noqa: F401  # a fixture


@pytest.fixture
def answered(site, lost, django_capture_on_commit_callbacks):  # noqa: F811
    def make(**answers):
        first = lost(renamed=True)
        second = retry_push(first.draft_order_id, actor=None).export
        for prefix, body in answers.items():
            site.answer(f"{prefix}_{first.filename}", body)
        poll(site.connection.pk)
        first.refresh_from_db()
        assert first.conflict_json
        assert set(AckFile.objects.values_list("status", flat=True)) == {AckFileStatus.CONFLICT}
        with structlog.testing.capture_logs() as logged, django_capture_on_commit_callbacks(execute=True):
            deliver(site.connection.pk)
        first.refresh_from_db()
        second.refresh_from_db()
        return first, second, [line["event"] for line in logged]

    return make


def audited(export, action):
    return AuditLog.objects.filter(action=action, entity_id=str(export.pk)).count()


def test_an_acceptance_is_applied_with_all_its_traces(site, answered):
    first, second, logged = answered(ack=ACKED)

    assert (first.status, first.erp_order_id, first.conflict_json) == (ExportStatus.ACKED, "SO-1", None)
    assert (second.status, second.error_json["code"]) == (ExportStatus.FAILED, "ALREADY_PUBLISHED")
    draft = DraftOrder.objects.get()
    assert (draft.status, draft.erp_order_id) == (DraftStatus.PUSHED, "SO-1")
    assert first.events.get(what="acked").message == Message("event.erp_number", number="SO-1")
    assert audited(first, Action.EXPORT_ACKED) == 1
    assert "export.acked" in logged
    file = AckFile.objects.get()
    assert file.status == AckFileStatus.APPLIED
    assert not can_dismiss_ack(file)


def test_a_refusal_is_applied_with_all_its_traces_and_the_order_is_sent_again(site, answered):
    first, second, logged = answered(error=FAILED)

    assert (first.status, first.failed_as, first.conflict_json) == (
        ExportStatus.FAILED,
        FailedAs.REFUSED,
        None,
    )
    assert first.error_json["params"]["error_code"] == json.loads(FAILED)["error_code"]
    assert second.status == ExportStatus.SENT
    assert DraftOrder.objects.get().status == DraftStatus.PUSHED
    assert first.events.filter(what="refused").count() == 1
    assert audited(first, Action.EXPORT_REFUSED) == 1
    assert "export.refused" in logged
    file = AckFile.objects.get()
    assert file.status == AckFileStatus.APPLIED
    assert not can_dismiss_ack(file)


def test_of_several_the_one_counts_that_counts_in_any_order(site, answered):
    first, second, _ = answered(error=FAILED, ack=ACKED)

    assert (first.status, first.erp_order_id) == (ExportStatus.ACKED, "SO-1")
    assert second.status == ExportStatus.FAILED
    assert dict(AckFile.objects.values_list("name", "status")) == {
        f"ack_{first.filename}": AckFileStatus.APPLIED,
        f"error_{first.filename}": AckFileStatus.CONFLICT,
    }
    assert first.conflict_json["file"] == f"error_{first.filename}"


def test_an_order_that_was_changed_meanwhile_stays_for_a_user(site, lost):  # noqa: F811
    first = lost(renamed=True)
    second = retry_push(first.draft_order_id, actor=None).export
    ERPExport.objects.filter(pk=second.pk).update(approved_at=second.created_at)
    site.answer(f"ack_{first.filename}", ACKED)
    poll(site.connection.pk)

    deliver(site.connection.pk)

    first.refresh_from_db()
    draft = DraftOrder.objects.get()
    assert first.status == ExportStatus.ACKED
    assert (draft.status, draft.erp_order_id) == (DraftStatus.ERROR, "SO-1")
