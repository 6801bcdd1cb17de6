"""One list from the approval to the ERP's number: every kind of event, in words, of this order only."""

import ast
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.translation import override

from erp_connectors.models import AckFile, ERPExport, add_events
from erp_connectors.services.acks.manual_answers import mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.services.exports.transition_table import TRANSITIONS
from erp_connectors.services.status import timeline as module
from erp_connectors.services.status.event_texts import EVENT_TEXTS, Tone
from erp_connectors.services.status.timeline import exports_of, timeline
from orderflow.audit.models import Action, AuditLog
from orderflow.durations import duration
from orderflow.messages import foreign
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.review import take_back
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED, sent

SERVICES = Path(module.__file__).parents[1]


@pytest.fixture
def ops(site):
    return factories.user(site.org)


def steps_of(draft):
    draft = DraftOrder.objects.get(pk=draft.pk)
    return timeline(draft, exports_of(draft)).steps


def codes(draft):
    return [step.code for step in steps_of(draft)]


def test_from_the_approval_to_the_erps_number(site, ops):
    draft = factories.draft(site.org, status=DraftStatus.READY)
    approve(draft.pk, actor=ops)
    pusher = factories.user(site.org)
    export = push(draft.pk, actor=pusher).export
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)

    steps = steps_of(draft)

    assert [(step.code, step.who, step.attempt) for step in steps] == [
        ("DRAFT_APPROVED", ops.email, 0),
        ("pushed", pusher.email, 0),
        ("rendered", "", 1),
        ("staged", "", 1),
        ("published", "", 1),
        ("ack file found", "", 0),
        ("acked", "", 1),
        ("ack file filed", "", 0),
    ]
    assert steps[4].path == str(site.inbox / export.filename)
    assert steps[6].detail == "ERP number: SO-1"
    assert steps[7].path == str(site.acks / "processed" / f"ack_{export.filename}")
    assert all(one.at <= other.at for one, other in pairwise(steps))
    assert steps[0].after == ""
    assert all(step.after for step in steps[1:])


def test_a_refusal_the_way_back_and_the_retry_are_told_with_who_did_it(site, ops):
    (export,) = sent(site)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)
    retry_push(export.draft_order_id, actor=ops)
    deliver(site.connection.pk)
    newer = ERPExport.objects.latest("created_at")
    mark_refused(newer.pk, actor=ops, note="Kunde gesperrt: sagt Herr Kurz")
    take_back(export.draft_order_id, actor=ops)

    steps = steps_of(export.draft_order)

    by_code = {step.code: step for step in steps}
    assert by_code["refused"].tone is Tone.ERROR
    assert (by_code["DRAFT_PUSH_RETRIED"].who, by_code["DRAFT_PUSH_RETRIED"].export) == (ops.email, newer)
    assert (by_code["manual answer"].who, by_code["manual answer"].detail) == (
        ops.email, "Kunde gesperrt: sagt Herr Kurz",
    )  # fmt: skip
    assert steps[-1].code == "APPROVAL_REVERTED"
    assert [step.code for step in steps].count("pushed") == 1


def test_a_page_of_one_export_tells_what_led_to_it_and_nothing_of_the_others(site, ops):
    (first,) = sent(site)
    mark_refused(first.pk, actor=ops, note="nein")
    second = retry_push(first.draft_order_id, actor=ops).export
    draft = DraftOrder.objects.get(pk=first.draft_order_id)

    (older,), (newer,) = ([one for one in exports_of(draft) if one.pk == pk] for pk in (first.pk, second.pk))

    assert [step.code for step in timeline(draft, [newer], one=True).steps] == [
        "DRAFT_APPROVED",
        "DRAFT_PUSH_RETRIED",
    ]
    assert "DRAFT_PUSH_RETRIED" not in [step.code for step in timeline(draft, [older], one=True).steps]


def test_an_answer_that_can_not_be_understood_is_told_where_the_order_is(site):
    (export,) = sent(site)
    AckFile.objects.create(
        org=site.org, connection=site.connection, name=f"ack_{export.filename}", status="MALFORMED",
        reason=foreign("it is no JSON"),
    )  # fmt: skip
    stranger = factories.org()
    AckFile.objects.create(
        org=stranger, connection=factories.connection(stranger, {}), name=f"ack_{export.filename}.json",
        status="MALFORMED", reason=foreign("another org's"),
    )  # fmt: skip

    found = [
        (step.path, step.detail) for step in steps_of(export.draft_order) if step.code == "ack file found"
    ]

    assert found == [(f"ack_{export.filename}", "Malformed: it is no JSON")]


def test_another_orgs_log_says_nothing_here(site, ops):
    (export,) = sent(site)
    before = codes(export.draft_order)
    AuditLog.objects.create(
        org=factories.org(), action=Action.APPROVAL_REVERTED, entity_type="DraftOrder",
        entity_id=str(export.draft_order_id),
    )  # fmt: skip

    assert codes(export.draft_order) == before


def cost(draft):
    draft = DraftOrder.objects.select_related("approved_by").get(pk=draft.pk)
    with CaptureQueriesContext(
        database,
    ) as asked:
        timeline(draft, exports_of(draft))
    return len(asked)


def test_it_costs_the_same_however_much_happened(site, ops):
    (short,) = sent(site)
    little = cost(short.draft_order)
    for n in range(5):
        mark_refused(ERPExport.objects.filter(draft_order=short.draft_order).latest("created_at").pk,
                     actor=ops, note=f"nein {n}")  # fmt: skip
        retry_push(short.draft_order_id, actor=ops)
        deliver(site.connection.pk)

    assert len(codes(short.draft_order)) > 25
    assert cost(short.draft_order) == little == 4


def test_of_a_very_long_story_the_newest_is_shown(site, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 3)
    (export,) = sent(site)
    draft = export.draft_order

    told = timeline(draft, exports_of(draft))

    assert told.cut
    assert [step.code for step in told.steps if step.attempt] == ["rendered", "staged", "published"]


def test_every_event_that_the_services_record_is_said_in_words():
    recorded: set[Any] = {one.event or None for one in TRANSITIONS}
    for path in SERVICES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "add_events":
                recorded |= {
                    word.value.value
                    for word in node.keywords
                    if word.arg == "what" and isinstance(word.value, ast.Constant)
                }
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_add_events", "_note"):
                recorded.add(getattr(node.args[1], "value", None))

    assert {"pushed", "rendered", "staged", "published", "resolved", "postponed", "held", "failed", "acked",
            "refused", "conflict"} <= recorded  # fmt: skip
    assert recorded - {None} <= set(EVENT_TEXTS)


def test_a_step_that_no_table_knows_still_shows(site):
    (export,) = sent(site)
    add_events([export], stage="ack", what="something new", at=timezone.now())

    assert steps_of(export.draft_order)[-1].said == "something new"


def test_steps_are_said_in_german(site, ops):
    (export,) = sent(site)
    mark_accepted(export.pk, actor=ops, erp_order_id="SO-1", note="Anruf")

    with override("de"):
        said = [step.said for step in steps_of(export.draft_order)]

    assert "Das ERP hat den Auftrag angenommen." in said


@pytest.mark.parametrize(
    ("took", "said"),
    [
        (timedelta(microseconds=1), "0 ms"),
        (timedelta(milliseconds=420), "420 ms"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(seconds=60), "1 min 0 s"),
        (timedelta(minutes=59, seconds=59.9), "59 min 59 s"),
        (timedelta(hours=23, minutes=59, seconds=59), "23 h 59 min"),
        (timedelta(days=1, hours=2), "1 day 2 h"),
        (timedelta(days=30), "30 days 0 h"),
        (timedelta(seconds=-5), "0 ms"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(took, said):
    assert duration(took) == said
