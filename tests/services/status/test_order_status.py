"""Where an order stands, why, and what comes next: one answer for each state that it can be in."""

from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors import circuit
from erp_connectors.faults import CONNECTION_REFUSED, LOGIN_REFUSED, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.manual_answers import mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.services.status.event_texts import Tone
from erp_connectors.services.status.export_status import summarize_export
from erp_connectors.services.status.order_status import summarize_order
from erp_connectors.services.status.timeline import exports_of
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED, sent


@pytest.fixture
def ops(site):
    return factories.user(site.org)


def of_order(row):
    draft = DraftOrder.objects.get(pk=getattr(row, "draft_order_id", row.pk))
    return summarize_order(draft, exports_of(draft))


def of_export(export):
    exports = exports_of(DraftOrder.objects.get(pk=export.draft_order_id))
    return summarize_export(next(one for one in exports if one.pk == export.pk), exports)


def error(kind, message=""):
    return Fault(kind, message).as_error(stage="connect", attempt=1, at=timezone.now())


@pytest.mark.parametrize(
    ("status", "action", "tone"),
    [
        (DraftStatus.NEW, "", Tone.WAITING),
        (DraftStatus.EXTRACTED, "ready", Tone.WAITING),
        (DraftStatus.NEEDS_REVIEW, "ready", Tone.WAITING),
        (DraftStatus.READY, "approve", Tone.WAITING),
        (DraftStatus.REJECTED, "", Tone.PLAIN),
        (DraftStatus.APPROVED, "push", Tone.WAITING),
        (DraftStatus.ERROR, "", Tone.ERROR),
    ],
)
def test_before_it_is_sent_an_order_names_the_next_step(site, status, action, tone):
    found = of_order(factories.draft(site.org, status=status))

    assert (found.action, found.tone) == (action, tone)
    assert found.state


def test_what_is_missing_is_named_and_nothing_is_offered_that_would_be_refused(site):
    draft = factories.draft(site.org, status=DraftStatus.NEEDS_REVIEW, lines=8)
    draft.lines.update(uom="")

    found = of_order(draft)

    assert "line 1: unit is missing" in found.why
    assert "and 3 more" in found.why
    assert found.action == ""


def test_without_a_connection_an_approved_order_says_so(db):
    found = of_order(factories.draft(factories.org()))

    assert (found.tone, found.action) == (Tone.ERROR, "")
    assert "no active ERP connection" in found.why


def test_on_its_way(site):
    export = push(factories.draft(site.org).pk, actor=None).export
    assert of_order(export).tone is Tone.WAITING

    ERPExport.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert of_order(export).tone is Tone.ERROR


def test_the_next_try_is_told_with_its_reason(site):
    export = push(factories.draft(site.org).pk, actor=None).export
    due = timezone.now() + timedelta(minutes=3)
    ERPExport.objects.update(next_attempt_at=due, error_json=error(CONNECTION_REFUSED), attempts=1)

    found = of_order(export)

    assert (found.due, found.due_label) == (due, "Next attempt at")
    assert found.why == CONNECTION_REFUSED.meaning


def test_what_it_is_held_for_and_what_to_do(site):
    export = push(factories.draft(site.org).pk, actor=None).export
    circuit.open_circuit(site.connection, error(LOGIN_REFUSED), now=timezone.now())

    held = of_export(export)
    ERPConnection.objects.update(status="DISABLED")
    disabled = of_export(export)

    assert (held.tone, held.why, held.to_do) == (Tone.ERROR, LOGIN_REFUSED.meaning, LOGIN_REFUSED.hint)
    assert held.due is not None
    assert "is disabled" in disabled.why


def test_the_answer_is_due_then_overdue(make_site):
    site = make_site(ack_timeout=600)
    (export,) = sent(site)

    waiting = of_order(export)
    ERPExport.objects.update(sent_at=timezone.now() - timedelta(hours=1))
    late = of_order(export)

    assert (waiting.due_label, waiting.due, waiting.action) == (
        "Answer due by", export.sent_at + timedelta(minutes=10), "",
    )  # fmt: skip
    assert (late.tone, late.due_label, late.action) == (Tone.ERROR, "overdue since", "mark-accepted")
    assert "10 min, as configured" in late.note


def test_where_nobody_reads_answers_a_person_records_them(make_site):
    site = make_site(ack_path=None)
    (export,) = sent(site)

    assert "no ack folder" in of_order(export).why
    assert of_order(export).action == "mark-accepted"


def test_accepted_refused_and_sent_anew(site, ops):
    accepted, refused = sent(site, 2)
    site.answer(f"ack_{accepted.filename}", ACKED)
    site.answer(f"error_{refused.filename}", FAILED)
    poll(site.connection.pk)

    assert (of_order(accepted).tone, "SO-1" in of_order(accepted).state) == (Tone.GOOD, True)
    assert (of_order(refused).action, of_order(refused).why) == (
        "retry", "ERP_VALIDATION — Unknown customer 4711",
    )  # fmt: skip

    newer = retry_push(refused.draft_order_id, actor=ops).export
    assert newer.filename in of_export(refused).to_do
    assert (of_export(refused).action, of_export(refused).tone) == ("", Tone.PLAIN)
    assert (of_order(refused).tone, of_order(refused).action) == (Tone.WAITING, "")


def test_contradicting_answers_ask_for_a_decision(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)

    found = of_order(export)

    assert (found.tone, found.action) == (Tone.ERROR, "mark-accepted")
    assert f"error_{export.filename} says refused." in found.why


def test_an_answer_to_an_export_that_was_replaced_is_to_be_handled(site, ops):
    (export,) = sent(site)
    mark_refused(export.pk, actor=ops, note="nein")
    retry_push(export.draft_order_id, actor=ops)
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)

    assert of_export(export).action == "dismiss"
    assert (of_order(export).tone, of_order(export).action) == (Tone.WAITING, "")


@pytest.mark.parametrize("failed_as", [FailedAs.NOT_SENT, FailedAs.UNKNOWN])
def test_a_failure_says_what_the_erp_can_be_holding(site, failed_as):
    export = push(factories.draft(site.org).pk, actor=None).export
    failed = {"failed_as": failed_as, "error_json": error(LOGIN_REFUSED)}
    factories.set_status(export, ExportStatus.FAILED, **failed)
    factories.set_status(export.draft_order, DraftStatus.ERROR)

    found = of_order(export)

    assert ("not known" in found.state) == (failed_as == FailedAs.UNKNOWN)
    assert (found.why, found.to_do, found.action) == (LOGIN_REFUSED.meaning, LOGIN_REFUSED.hint, "retry")
