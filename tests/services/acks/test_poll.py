import json

import pytest

from erp_connectors.models import AckFile, ERPExport, ERPExportEvent
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.conftest import Killed, die

ACKED = b'{"status": "ACKED", "erp_order_id": "SO-1", "processed_at": "2026-11-23T10:01:00Z"}'
FAILED = b'{"status": "FAILED", "error_code": "ERP_VALIDATION", "message": "Unknown customer 4711"}'


def sent(site, how_many=1):
    orders = factories.drafts(site.org, how_many)
    results = push_many(factories.ids(orders), actor=None)
    deliver(site.connection.pk)
    exports = [results[order.pk].export for order in orders]
    for export in exports:
        export.refresh_from_db()
    return exports


def again(row):
    return type(row).objects.get(pk=row.pk)


def test_an_acceptance_reaches_export_and_order(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)

    report = poll(site.connection.pk)

    export = again(export)
    assert (report.accepted, report.moved) == (1, 1)
    assert (export.status, export.erp_order_id) == (ExportStatus.ACKED, "SO-1")
    assert (export.draft_order.status, export.draft_order.erp_order_id) == (DraftStatus.PUSHED, "SO-1")
    assert (site.acks / "processed" / f"ack_{export.filename}").read_bytes() == ACKED
    assert AuditLog.objects.filter(action=Action.EXPORT_ACKED).count() == 1


def test_a_refusal_says_why_and_the_order_is_in_error(site):
    (export,) = sent(site)
    site.answer(f"error_{export.filename}.json", FAILED)

    poll(site.connection.pk)

    export = again(export)
    assert (export.status, export.failed_as) == (ExportStatus.FAILED, FailedAs.REFUSED)
    assert export.error_json["params"]["error_code"] == "ERP_VALIDATION"
    assert export.error_json["params"]["message"] == "Unknown customer 4711"
    assert export.draft_order.status == DraftStatus.ERROR


def test_the_same_answer_twice_changes_nothing(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    before = again(export).answered_at

    site.answer(f"ack_{export.filename}", ACKED)
    report = poll(site.connection.pk)

    assert report.repeated == 1
    assert again(export).answered_at == before
    assert len(list((site.acks / "processed").iterdir())) == 2


def test_contradicting_answers_are_shown_and_change_nothing(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    site.answer(f"error_{export.filename}", FAILED)

    report = poll(site.connection.pk)

    export = again(export)
    assert (report.accepted, report.conflicts) == (1, 1)
    assert export.status == ExportStatus.ACKED
    assert export.conflict_json["file"] == f"error_{export.filename}"


def test_the_erp_may_accept_later_what_it_had_refused(site):
    (export,) = sent(site)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    export = again(export)
    assert (export.status, export.failed_as) == (ExportStatus.ACKED, FailedAs.NOT_FAILED)
    assert export.draft_order.status == DraftStatus.PUSHED


def test_an_answer_to_a_replaced_export_is_a_conflict(site):
    (first,) = sent(site)
    site.answer(f"error_{first.filename}", FAILED)
    poll(site.connection.pk)
    second = retry_push(first.draft_order_id, actor=None).export
    deliver(site.connection.pk)
    site.answer(f"ack_{first.filename}", ACKED)

    poll(site.connection.pk)

    assert again(first).status == ExportStatus.FAILED
    assert again(first).conflict_json["answer"] == "accepted"
    assert again(second).status == ExportStatus.SENT


def test_an_answer_before_the_file_was_staged_waits(site):
    (order,) = factories.drafts(site.org, 1)
    export = push_many([order.pk], actor=None)[order.pk].export
    site.answer(f"ack_{export.filename}", ACKED)

    for _ in range(3):
        assert poll(site.connection.pk).waiting == 1
    deliver(site.connection.pk)
    poll(site.connection.pk)

    assert again(export).status == ExportStatus.ACKED


def test_an_answer_before_sent_is_recorded_proves_that_it_was_sent(site, at_crashpoint):
    (order,) = factories.drafts(site.org, 1)
    export = push_many([order.pk], actor=None)[order.pk].export
    at_crashpoint("published-before-commit", die)
    with pytest.raises(Killed):
        deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)

    poll(site.connection.pk)

    export = again(export)
    assert export.status == ExportStatus.ACKED
    assert export.dropzone_path == str(site.inbox / export.filename)
    assert again(order).status == DraftStatus.PUSHED
    assert AuditLog.objects.filter(action=Action.DRAFT_PUSHED).count() == 1


def test_a_file_that_matches_no_export_is_shown_and_filed_under_error(site):
    path = site.answer("ack_sales_order_00000000_20260101_000000_00000000.json", ACKED)

    assert poll(site.connection.pk).unmatched == 1

    assert (site.acks / "error" / path.name).exists()
    assert AckFile.objects.get().status == AckFileStatus.UNMATCHED


def test_another_orgs_ack_touches_nothing(site, make_site):
    (export,) = sent(site)
    other = make_site()
    path = other.answer(f"ack_{export.filename}", ACKED)

    assert poll(other.connection.pk).others == 1
    assert again(export).status == ExportStatus.SENT
    assert path.exists()


def test_a_replaced_connections_late_answer_still_finds_its_export(site):
    (export,) = sent(site)
    site.connection.status = "DISABLED"
    site.connection.save()
    successor = factories.connection(site.org, site.connection.config)
    site.answer(f"ack_{export.filename}", ACKED)

    assert poll(successor.pk).accepted == 1


@pytest.mark.parametrize(
    "point", ["acks-read", "acks-decided", "acks-moved-before-reasons", "acks-moved-before-commit"]
)
@pytest.mark.every_database
def test_a_poll_killed_at_any_step_loses_and_repeats_nothing(site, at_crashpoint, point):
    exports = sent(site, 3)
    for export in exports:
        site.answer(f"ack_{export.filename}", ACKED)
    at_crashpoint(point, die)
    with pytest.raises(Killed):
        poll(site.connection.pk)

    poll(site.connection.pk)

    assert {again(export).status for export in exports} == {ExportStatus.ACKED}
    assert {p.name for p in (site.acks / "processed").iterdir()} == {f"ack_{e.filename}" for e in exports}
    assert ERPExportEvent.objects.filter(what="acked").count() == 3
    assert not AckFile.objects.present().exists()


def test_an_error_of_the_folder_is_recorded_for_the_operator(site):
    site.acks.rmdir()

    report = poll(site.connection.pk)

    site.connection.refresh_from_db()
    assert "does not exist" in report.error
    assert site.connection.poll_error["code"] == "FOLDER_MISSING"


def test_many_answers_in_pages(site, settings):
    settings.ACK_BATCH_SIZE = 7
    exports = sent(site, 20)
    for n, export in enumerate(exports):
        site.answer(
            f"ack_{export.filename}", json.dumps({"status": "ACKED", "erp_order_id": f"SO-{n}"}).encode()
        )

    assert poll(site.connection.pk).accepted == 20
    assert ERPExport.objects.filter(status=ExportStatus.ACKED).values("erp_order_id").distinct().count() == 20
