"""Several answers to one export end in the same state, however they arrive."""

import json
from itertools import permutations

import pytest

from erp_connectors.fault_records import english_cause
from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.services.acks.manual_answers import mark_accepted
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import retry_push
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.acks.test_poll import again, sent


def accepted(number, at=None):
    return json.dumps({"status": "ACKED", "erp_order_id": number, "processed_at": at}).encode()


def refused(message, at=None):
    return json.dumps(
        {"status": "FAILED", "error_code": "E", "message": message, "processed_at": at}
    ).encode()


EARLY, LATE = "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"
CASES = {
    "two numbers": [("ack_{}", accepted("SO-2", LATE)), ("ack_{}.json", accepted("SO-1", EARLY))],
    "two numbers without times": [("ack_{}", accepted("SO-2")), ("ack_{}.json", accepted("SO-1"))],
    "accepted and refused": [("ack_{}", accepted("SO-1")), ("error_{}", refused("no"))],
    "accepted, then refused": [("ack_{}", accepted("SO-1", EARLY)), ("error_{}", refused("no", LATE))],
    "refused, then corrected": [("ack_{}", accepted("SO-1", LATE)), ("error_{}", refused("no", EARLY))],
    "two reasons": [("error_{}", refused("a", LATE)), ("error_{}.json", refused("b", EARLY))],
    "everything": [
        ("ack_{}", accepted("SO-2", LATE)),
        ("ack_{}.json", accepted("SO-1", EARLY)),
        ("error_{}", refused("a")),
        ("ACK_{}", accepted("SO-2", LATE)),
    ],
}  # fmt: skip


def state(export):
    export = again(export)
    conflict = {
        key: value for key, value in (export.conflict_json or {}).items() if key not in ("time", "error")
    }
    reason = english_cause(export.error_json)
    files = sorted(AckFile.objects.values_list("name", "status"))
    order = export.draft_order
    return export.status, export.erp_order_id, reason, conflict, order.status, order.erp_order_id, files


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
@pytest.mark.every_database
def test_in_any_order_over_any_polls(site, files):
    (export,) = sent(site)
    ends = []
    for arriving in permutations(files):
        for together in (True, False):
            for name, body in arriving:
                site.answer(name.format(export.filename), body)
                if not together:
                    poll(site.connection.pk)
            poll(site.connection.pk)
            ends.append(state(export))
            start_again(export)

    assert len(set(map(repr, ends))) == 1, ends


def start_again(export):
    AckFile.objects.all().delete()
    ERPExportEvent.objects.filter(stage="ack").delete()
    type(export).objects.filter(pk=export.pk).update(
        status=ExportStatus.SENT,
        failed_as="",
        erp_order_id="",
        error_json=None,
        conflict_json=None,
        answered_at=None,
    )
    type(export.draft_order).objects.filter(pk=export.draft_order_id).update(
        status=DraftStatus.PUSHED, erp_order_id=""
    )


def test_a_number_that_is_overruled_is_in_timeline_and_audit_log(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", accepted("SO-2", LATE))
    poll(site.connection.pk)
    site.answer(f"ack_{export.filename}.json", accepted("SO-1", EARLY))

    poll(site.connection.pk)

    export = again(export)
    assert (export.erp_order_id, export.draft_order.erp_order_id) == ("SO-1", "SO-1")
    assert export.conflict_json["erp_order_id"] == "SO-2"
    entry = AuditLog.objects.filter(action=Action.EXPORT_ACKED).latest("created_at")
    assert (entry.before, entry.after) == ({"erp_order_id": "SO-2"}, {"erp_order_id": "SO-1"})
    corrected = ERPExportEvent.objects.filter(what="acked").latest("id").message
    assert (corrected.code, corrected.params["before"]) == ("event.erp_number_corrected", "SO-2")


def test_what_a_person_recorded_is_not_overruled_by_a_file(site):
    (export,) = sent(site)
    actor = factories.user(site.org, role=Role.OPS)
    site.answer(f"ack_{export.filename}", accepted("SO-2", LATE))
    poll(site.connection.pk)
    site.answer(f"error_{export.filename}", refused("no"))
    poll(site.connection.pk)
    mark_accepted(export.pk, actor=actor, erp_order_id="SO-2", note="Ms Koch says the acceptance is right.")
    assert again(export).conflict_json is None

    site.answer(f"ack_{export.filename}.json", accepted("SO-1", EARLY))
    poll(site.connection.pk)

    export = again(export)
    assert (export.erp_order_id, export.conflict_json["erp_order_id"]) == ("SO-2", "SO-1")
    assert AckFile.objects.latest("pk").status == AckFileStatus.CONFLICT


def test_an_answer_to_an_export_that_was_not_sent_as_we_know_and_then_sent_anew_is_shown(site):
    (export,) = sent(site)
    ERPExport.objects.update(status=ExportStatus.FAILED, failed_as=FailedAs.NOT_SENT, sent_at=None)
    type(export.draft_order).objects.update(status=DraftStatus.ERROR)
    retry_push(export.draft_order_id, actor=None)
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", accepted("SO-1"))

    assert poll(site.connection.pk).conflicts == 1

    assert again(export).conflict_json["erp_order_id"] == "SO-1"
