"""What only a person's word settles: on record, off the lists, and nothing else changed."""

import pytest
from django.utils import timezone

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.dismiss import (
    NothingToDismiss,
    can_dismiss_ack,
    dismiss_ack,
    dismiss_export,
)
from erp_connectors.services.acks.manual_answers import mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import retry_push
from erp_connectors.services.status.timeline import exports_of, timeline
from erp_connectors.states import AckFileStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED, again, sent

NOTE = "Das ERP hat den alten Auftrag storniert"


@pytest.fixture
def ops(site):
    return factories.user(site.org)


@pytest.fixture
def replaced(site, ops):
    """An export that the ERP accepted after the order was sent anew."""
    (export,) = sent(site)
    mark_refused(export.pk, actor=ops, note="nein")
    retry_push(export.draft_order_id, actor=ops)
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    return again(export)


def test_an_answer_to_a_replaced_export_is_seen_to_with_a_note(replaced, ops):
    before = replaced.conflict_json

    dismiss_export(replaced.pk, actor=ops, note=NOTE)

    assert (again(replaced).conflict_json, again(replaced).status) == (None, replaced.status)
    assert AckFile.objects.get(status=AckFileStatus.CONFLICT).dismissed_at
    entry = AuditLog.objects.get(action=Action.DISMISSED)
    assert (entry.actor, entry.before, entry.after) == (ops, {"conflict": before}, {"note": NOTE})
    last = timeline(replaced.draft_order, exports_of(replaced.draft_order)).steps[-1]
    assert (last.code, last.who, last.detail) == ("dismissed", ops.email, NOTE)


def test_the_same_answer_again_asks_for_nobody_another_one_does(site, replaced, ops):
    dismiss_export(replaced.pk, actor=ops, note=NOTE)

    site.answer(f"ack_{replaced.filename}.json", ACKED.replace(b"SO-1", b"SO-2"))
    poll(site.connection.pk)

    assert again(replaced).conflict_json["erp_order_id"] == "SO-2"


def test_what_a_recorded_answer_can_settle_is_not_handled_away(site, ops):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)

    with pytest.raises(NothingToDismiss):
        dismiss_export(export.pk, actor=ops, note=NOTE)
    mark_accepted(export.pk, actor=ops, erp_order_id="SO-1", note=NOTE)

    assert again(export).conflict_json is None
    assert AckFile.objects.get(status=AckFileStatus.CONFLICT).dismissed_at


def test_the_proof_that_a_file_arrived_is_kept_while_its_outcome_is_unknown(replaced, ops):
    ERPExport.objects.filter(pk=replaced.pk).update(failed_as=FailedAs.UNKNOWN)

    with pytest.raises(NothingToDismiss):
        dismiss_export(replaced.pk, actor=ops, note=NOTE)


@pytest.mark.parametrize("status", [AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED])
def test_a_stray_file_is_marked_once(site, ops, status):
    stray = AckFile.objects.create(org=site.org, connection=site.connection, name="x.json", status=status)

    dismiss_ack(stray.pk, actor=ops, note=NOTE)

    assert again(stray).dismissed_at
    assert again(stray).status == status
    assert AuditLog.objects.get(action=Action.DISMISSED).after == {"note": NOTE}
    with pytest.raises(NothingToDismiss):
        dismiss_ack(stray.pk, actor=ops, note=NOTE)


@pytest.mark.parametrize("status", [AckFileStatus.WAITING, AckFileStatus.APPLIED, AckFileStatus.REPEATED])
def test_a_file_that_is_well_asks_for_nobody_unless_it_can_not_be_moved(site, status):
    file = AckFile(org=site.org, connection=site.connection, name="x.json", status=status)

    assert not can_dismiss_ack(file)
    file.move_retry_at = timezone.now()
    assert can_dismiss_ack(file)


def test_another_orgs_rows_are_not_there(site, replaced):
    stranger = factories.user(factories.org(), Role.ADMIN)
    stray = AckFile.objects.create(
        org=site.org, connection=site.connection, name="x.json", status=AckFileStatus.MALFORMED
    )

    with pytest.raises(ERPExport.DoesNotExist):
        dismiss_export(replaced.pk, actor=stranger, note=NOTE)
    with pytest.raises(AckFile.DoesNotExist):
        dismiss_ack(stray.pk, actor=stranger, note=NOTE)
    assert again(stray).dismissed_at is None
