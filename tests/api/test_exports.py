"""Timelines, payloads and bulk retries."""

import hashlib
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.storage import storages

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.states import ConnectionStatus, ExportStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import client_of

EXPORTS = "/api/v1/erp-exports"


@pytest.fixture
def org(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


def exports(org, how_many, *, failed_as=None):
    orders = factories.drafts(org, how_many)
    results = push_many(factories.ids(orders), actor=None)
    made = [results[order.pk].export for order in orders]
    if failed_as:
        ERPExport.objects.filter(pk__in=[e.pk for e in made]).update(
            status=ExportStatus.FAILED, failed_as=failed_as
        )
        DraftOrder.objects.filter(pk__in=factories.ids(orders)).update(status=DraftStatus.ERROR)
    else:
        deliver(made[0].connection_id)
    return [ERPExport.objects.get(pk=export.pk) for export in made]


def test_the_timeline_is_oldest_first_and_paged(org):
    (export,) = exports(org, 1)
    viewer = client_of(org, Role.VIEWER)

    first = viewer.get(f"{EXPORTS}/{export.pk}/events?limit=2").json()
    rest = viewer.get(first["next"]).json()

    told = [event["what"] for event in first["results"] + rest["results"]]
    assert told == list(export.events.order_by("id").values_list("what", flat=True))
    assert (told[0], "published" in told) == ("pushed", True)


def test_a_payload_is_sent_once_to_who_keeps_it(org):
    (export,) = exports(org, 1)
    client = client_of(org)

    answer = client.get(f"{EXPORTS}/{export.pk}/payload")
    body = b"".join(answer.streaming_content)

    assert hashlib.sha256(body).hexdigest() == export.sha256
    assert (answer["ETag"], answer["Content-Length"]) == (f'"{export.sha256}"', str(len(body)))
    assert answer["Content-Disposition"] == f'attachment; filename="{export.filename}"'
    again = client.get(f"{EXPORTS}/{export.pk}/payload", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(("spoil", "code"), [("unlink", "ARCHIVE_UNAVAILABLE"), ("alter", "ARCHIVE_ALTERED")])
def test_an_archive_that_fails_is_told_before_the_first_byte(org, spoil, code):
    (export,) = exports(org, 1)
    stored = Path(storages["exports"].path(export.export_storage_key))
    if spoil == "unlink":
        stored.unlink()
    else:
        stored.write_bytes(b"{}")

    answer = client_of(org).get(f"{EXPORTS}/{export.pk}/payload")

    assert (answer.status_code, answer.json()["error"]["reason"]["code"]) == (502, code)


def bulk_retry(client, rows, **options):
    return client.post(
        f"{EXPORTS}/bulk-retry", {"export_ids": [str(row) for row in rows], **options}, format="json"
    )


def test_a_dry_run_says_what_would_become_of_each_and_changes_nothing(org):
    (unsent,), (unknown,) = (
        exports(org, 1, failed_as=kind) for kind in (FailedAs.NOT_SENT, FailedAs.UNKNOWN)
    )
    (fine,) = exports(org, 1)
    (replaced,) = exports(org, 1, failed_as=FailedAs.REFUSED)
    newer = retry_push(replaced.draft_order_id, actor=None).export
    (strange,) = exports(factories_org_with_connection(org), 1, failed_as=FailedAs.NOT_SENT)
    rows = [unsent.pk, unknown.pk, fine.pk, replaced.pk, strange.pk, uuid4()]

    answer = bulk_retry(client_of(org), rows, dry_run=True)

    told = [(one["outcome"], bool(one["why"]), one["new_export_id"]) for one in answer.json()["results"]]
    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
    assert told == [("RETRY", True, None)] * 2 + [("REFUSED", True, None)] * 4
    # Another org's export is refused as one that does not exist.
    assert answer.json()["results"][4]["why"] == answer.json()["results"][5]["why"]
    assert str(newer.pk) in answer.json()["results"][3]["why"]
    assert ERPExport.objects.filter(status=ExportStatus.PENDING).count() == 1


def factories_org_with_connection(org):
    other = factories.org()
    config = org.connections.get().config
    factories.connection(other, config)
    return other


def test_a_bulk_retry_sends_each_order_again_once(org, django_assert_max_num_queries):
    failed = exports(org, 20, failed_as=FailedAs.NOT_SENT)
    client = client_of(org)

    with django_assert_max_num_queries(40):
        answer = bulk_retry(client, [row.pk for row in failed for _ in range(2)])

    results = answer.json()["results"]
    assert [one["outcome"] for one in results] == ["RETRY"] * 20
    assert len({one["new_export_id"] for one in results}) == 20
    deliver(org.connections.get().pk)
    assert set(
        ERPExport.objects.filter(pk__in=[one["new_export_id"] for one in results]).values_list("status")
    ) == {("SENT",)}
    again = bulk_retry(client, [row.pk for row in failed]).json()["results"]
    assert {one["outcome"] for one in again} == {"REFUSED"}


def test_without_a_connection_nothing_is_retried(org):
    (failed,) = exports(org, 1, failed_as=FailedAs.NOT_SENT)
    org.connections.update(status="DISABLED")

    (one,) = bulk_retry(client_of(org), [failed.pk]).json()["results"]

    assert (one["outcome"], "no active ERP connection" in one["why"]) == ("REFUSED", True)
    assert ERPExport.objects.count() == 1


@pytest.mark.parametrize(
    "body", [{}, {"export_ids": []}, {"export_ids": ["x"]}, {"export_ids": [str(uuid4())] * 1001}]
)
def test_a_bulk_retry_without_sensible_ids_is_refused(org, body):
    answer = client_of(org).post(f"{EXPORTS}/bulk-retry", body, format="json")

    names = {name.partition(".")[0] for name in answer.json()["error"]["details"]}
    assert (answer.status_code, names) == (422, {"export_ids"})


def test_it_says_why_it_waits_and_a_program_moves_what_a_disabled_connection_holds(org):
    api, old = client_of(org, Role.ADMIN), ERPConnection.objects.get()
    (order,) = factories.drafts(org, 1)
    export = push_many([order.pk], actor=None)[order.pk].export
    ERPConnection.objects.filter(pk=old.pk).update(status=ConnectionStatus.DISABLED)
    new = factories.connection(org, old.config)

    waiting = api.get(f"{EXPORTS}/{export.pk}").json()
    moved = api.post(f"/api/v1/connectors/{old.pk}/move-waiting-exports")
    again = api.post(f"/api/v1/connectors/{new.pk}/move-waiting-exports")
    after = api.get(f"{EXPORTS}/{export.pk}").json()

    assert waiting["waiting_for"]["code"] == "CONNECTION_DISABLED"
    assert moved.json() == {"connection_id": str(new.pk), "moved": 1, "staged": 0}
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    assert (after["connection_id"], after["waiting_for"]) == (str(new.pk), None)


def test_a_refused_push_says_why_as_data_beside_its_text(org):
    order = factories.draft(org, status=DraftStatus.READY)

    error = client_of(org).post(f"/api/v1/draft-orders/{order.pk}/push").json()["error"]

    assert error["code"] == "CONFLICT"
    assert error["reason"] == {
        "code": "push.not_approved",
        "params": {"order": str(order), "status": DraftStatus.READY},
    }
