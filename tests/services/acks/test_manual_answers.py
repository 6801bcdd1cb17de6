import pytest

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.manual_answers import (
    InvalidAnswer,
    MarkRefused,
    mark_accepted,
    mark_refused,
)
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import foreign
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.refusals import refused
from tests.services.acks.test_poll import ACKED, FAILED, again, sent
from tests.services.conftest import Killed, die

NOTE = "Frau Müller rief an: ist da"
REASON = "Kunde gesperrt, sagt Herr Kurz"


@pytest.fixture
def ops(site):
    return factories.user(site.org)


def accept(export, actor, number="SO-1", note=NOTE):
    return mark_accepted(export.pk, actor=actor, erp_order_id=number, note=note)


def accept_otherwise(export, actor):
    return accept(export, actor, "SO-2")


def refuse(export, actor):
    return mark_refused(export.pk, actor=actor, note=REASON)


def state(export):
    row = again(export)
    return row.status, row.draft_order.status


def test_an_acceptance_by_phone_is_what_an_ack_would_have_been(site, ops):
    (export,) = sent(site)

    assert accept(export, ops, " SO-4711 ").changed

    export = again(export)
    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)
    assert (export.erp_order_id, export.draft_order.erp_order_id) == ("SO-4711", "SO-4711")
    assert export.answered_at is not None


def test_a_refusal_by_phone_shows_its_note_as_the_reason_and_can_be_retried(site, ops):
    (export,) = sent(site)

    refuse(export, ops)

    export = again(export)
    assert state(export) == (ExportStatus.FAILED, DraftStatus.ERROR)
    assert (export.failed_as, export.error_json["code"]) == (FailedAs.REFUSED, "REFUSED_BY_ERP")
    assert export.error_json["params"]["message"] == REASON
    assert retry_push(export.draft_order_id, actor=ops).created


def test_who_said_what_is_in_the_audit_log_and_the_timeline(site, ops):
    accepted, refused = sent(site, 2)

    accept(accepted, ops)
    refuse(refused, ops)

    entries = {entry.action: entry for entry in AuditLog.objects.filter(actor=ops)}
    assert entries[Action.EXPORT_ACKED].after == {"erp_order_id": "SO-1", "note": NOTE}
    assert entries[Action.EXPORT_REFUSED].entity_id == str(refused.pk)
    assert entries[Action.EXPORT_REFUSED].org == site.org
    (event,) = accepted.events.filter(what="manual answer")
    assert (event.actor, event.message) == (ops, foreign(NOTE))


def test_saying_it_twice_records_it_once(site, ops):
    (export,) = sent(site)
    accept(export, ops)
    before = list(AuditLog.objects.values()), list(export.events.values()), again(export).updated_at

    assert not accept(export, ops).changed

    after = list(AuditLog.objects.values()), list(export.events.values()), again(export).updated_at
    assert after == before


def test_an_ack_that_agrees_later_is_a_repetition(site, ops):
    (export,) = sent(site)
    accept(export, ops)
    site.answer(f"ack_{export.filename}", ACKED)

    assert poll(site.connection.pk).repeated == 1
    assert AckFile.objects.get().status == AckFileStatus.REPEATED
    assert again(export).conflict_json is None


@pytest.mark.parametrize(
    ("prefix", "body"),
    [("error_", FAILED), ("ack_", ACKED.replace(b"SO-1", b"SO-2"))],
    ids=["refusal", "number"],
)
def test_an_ack_that_contradicts_later_is_a_conflict(site, ops, prefix, body):
    (export,) = sent(site)
    accept(export, ops)
    site.answer(f"{prefix}{export.filename}", body)

    assert poll(site.connection.pk).conflicts == 1
    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)
    assert again(export).erp_order_id == "SO-1"


def test_an_acceptance_after_a_refusal_by_phone_counts_like_the_erps_own_correction(site, ops):
    (export,) = sent(site)
    refuse(export, ops)
    site.answer(f"ack_{export.filename}", ACKED)

    assert poll(site.connection.pk).accepted == 1
    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)


def test_an_acceptance_of_an_order_that_was_sent_anew_is_a_conflict(site, ops):
    (export,) = sent(site)
    refuse(export, ops)
    retry_push(export.draft_order_id, actor=ops)
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)

    assert poll(site.connection.pk).conflicts == 1
    with refused(MarkRefused, "answer.export_replaced"):
        accept(export, ops)


def test_a_person_who_asked_settles_a_conflict(site, ops):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)
    assert again(export).conflict_json

    assert accept(export, ops).changed

    assert again(export).conflict_json is None
    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)
    entry = AuditLog.objects.get(actor=ops)
    assert (entry.before["conflict"]["answer"], entry.after["note"]) == ("refused", NOTE)


@pytest.mark.parametrize("mark", [refuse, accept_otherwise])
def test_what_the_erp_accepted_is_not_taken_back_by_hand(site, ops, mark):
    (export,) = sent(site)
    accept(export, ops)

    with refused(MarkRefused, "answer.accepted_before", number="SO-1"):
        mark(export, ops)

    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)
    assert again(export).conflict_json is None


def test_what_was_not_written_can_not_have_been_answered(site, ops):
    (order,) = factories.drafts(site.org, 1)
    export = push_many([order.pk], actor=None)[order.pk].export

    with refused(MarkRefused, "answer.file_not_written"):
        accept(export, ops)

    assert state(export) == (ExportStatus.PENDING, DraftStatus.PUSHING)


@pytest.mark.parametrize(
    ("mark", "after"),
    [(accept, (ExportStatus.ACKED, DraftStatus.PUSHED)), (refuse, (ExportStatus.FAILED, DraftStatus.ERROR))],
)
def test_an_answer_proves_that_a_staged_file_was_published(site, ops, at_crashpoint, mark, after):
    (order,) = factories.drafts(site.org, 1)
    export = push_many([order.pk], actor=None)[order.pk].export
    at_crashpoint("published-before-commit", die)
    with pytest.raises(Killed):
        deliver(site.connection.pk)

    mark(export, ops)

    assert state(export) == after
    assert AuditLog.objects.filter(action=Action.DRAFT_PUSHED).count() == 1


@pytest.mark.parametrize("failed_as", [FailedAs.NOT_SENT, FailedAs.UNKNOWN])
def test_an_order_that_was_keyed_in_after_its_delivery_failed_is_done(site, ops, failed_as):
    (export,) = sent(site)
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=failed_as, sent_at=None)
    type(export.draft_order).objects.update(status=DraftStatus.ERROR)

    accept(export, ops)

    assert state(export) == (ExportStatus.ACKED, DraftStatus.PUSHED)


def test_another_orgs_export_is_not_there(site, make_site):
    (export,) = sent(site)
    stranger = factories.user(make_site().org)

    for mark in (accept, refuse):
        with pytest.raises(ERPExport.DoesNotExist):
            mark(export, stranger)
    assert state(export) == (ExportStatus.SENT, DraftStatus.PUSHED)


@pytest.mark.parametrize(
    ("number", "note", "fields"),
    [
        ("", NOTE, {"erp_order_id"}),
        ("x" * 256, NOTE, {"erp_order_id"}),
        ("SO\0001", NOTE, {"erp_order_id"}),
        ("SO-1", " \n", {"note"}),
        ("SO-1", "x" * 2001, {"note"}),
        (" ", "bell\a", {"note", "erp_order_id"}),
    ],
)
def test_what_is_missing_is_named(site, ops, number, note, fields):
    (export,) = sent(site)

    with pytest.raises(InvalidAnswer) as wrong:
        accept(export, ops, number, note)

    assert set(wrong.value.problems) == fields
    assert state(export) == (ExportStatus.SENT, DraftStatus.PUSHED)
