"""The page of one export: its files, its proof of delivery, and what a person can do with it."""

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import Client
from django.urls import reverse

from erp_connectors.faults import ARCHIVE_ALTERED
from erp_connectors.models import AckFile, ERPExport
from erp_connectors.services.acks.manual_answers import mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs
from orderflow.audit.models import Action, AuditLog
from orderflow.messages import foreign
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.pages import levels
from tests.services.acks.test_poll import ACKED, FAILED, again, sent

NOTES = {"note": "Das ERP-Team hat es geklärt"}


def as_role(org, role=Role.OPS):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def url(name, *args):
    return reverse(f"admin:{name}", args=args)


def change(row):
    return url(f"{row._meta.app_label}_{row._meta.model_name}_change", row.pk)


def action_url(row, name):
    return url(f"{row._meta.app_label}_{row._meta.model_name}_action", row.pk, name)


def shown(client, row):
    return client.get(change(row)).content.decode()


def offered(client, row):
    page = shown(client, row)
    names = {"retry": action_url(row, "retry"), "dismiss": action_url(row, "dismiss")}
    by_hand = {
        "accepted": url("erp_export_mark_accepted", row.pk),
        "refused": url("erp_export_mark_refused", row.pk),
    }
    return {name for name, place in (names | by_hand).items() if place in page}


def pending(site):
    return push(factories.draft(site.org).pk, actor=None).export


def acked(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    return again(export)


def failed(site, failed_as):
    export = pending(site)
    factories.set_status(export, ExportStatus.FAILED, failed_as=failed_as)
    factories.set_status(export.draft_order, DraftStatus.ERROR)
    return export


def replaced(site):
    (export,) = sent(site)
    mark_refused(export.pk, actor=factories.user(site.org), note="nein")
    retry_push(export.draft_order_id, actor=None)
    return again(export)


def replaced_and_answered(site):
    export = replaced(site)
    deliver(site.connection.pk)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)
    return again(export)


def contradicted(site):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    site.answer(f"error_{export.filename}", FAILED)
    poll(site.connection.pk)
    return again(export)


CASES = {
    "pending": (pending, set()),
    "sent": (lambda site: sent(site)[0], {"accepted", "refused"}),
    "acked": (acked, set()),
    "not sent": (lambda site: failed(site, FailedAs.NOT_SENT), {"retry", "accepted", "refused"}),
    "unknown": (lambda site: failed(site, FailedAs.UNKNOWN), {"retry", "accepted", "refused"}),
    "replaced": (replaced, set()),
    "answered after it was replaced": (replaced_and_answered, {"dismiss"}),
    "contradicted": (contradicted, {"accepted", "refused"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_state_and_the_role_allow_is_offered(site, case):
    make, expected = CASES[case]
    export = make(site)

    shown = {role: offered(as_role(site.org, role), export) for role in Role}

    assert shown == {role: expected if role in (Role.ADMIN, Role.OPS) else set() for role in Role}


def test_a_retry_is_confirmed_and_a_stale_page_does_nothing(site):
    export, client = failed(site, FailedAs.UNKNOWN), as_role(site.org)

    seen = {"version": client.get(action_url(export, "retry")).context["version"]}
    first = client.post(action_url(export, "retry"), seen, follow=True)
    second = client.post(action_url(export, "retry"), seen, follow=True)

    assert [levels(answer) for answer in (first, second)] == [["success"], ["error"]]
    assert ERPExport.objects.latest("created_at").filename in first.content.decode()
    assert ERPExport.objects.count() == 2


def test_a_replaced_export_that_was_answered_is_marked_as_handled(site):
    export, client = replaced_and_answered(site), as_role(site.org)

    asked = client.get(action_url(export, "dismiss"))
    without = client.post(action_url(export, "dismiss"), {"version": asked.context["version"]})
    assert "This field is required" in without.content.decode()
    assert again(export).conflict_json

    told = client.post(
        action_url(export, "dismiss"), {"version": asked.context["version"], **NOTES}, follow=True
    )
    assert "Dismissed." in told.content.decode()
    assert NOTES["note"] in told.content.decode()
    assert again(export).conflict_json is None


@pytest.mark.parametrize("role", list(Role))
def test_a_stray_ack_file_is_marked_as_handled_by_who_may(site, role):
    stray = AckFile.objects.create(
        org=site.org,
        connection=site.connection,
        name="x.json",
        status=AckFileStatus.UNMATCHED,
        reason=foreign("no export"),
    )
    client, attention = as_role(site.org, role), url("erp_connectors_ackfile_changelist") + "?attention=yes"
    assert "x.json" in client.get(attention).content.decode()

    asked = client.get(action_url(stray, "dismiss"))
    if role not in (Role.ADMIN, Role.OPS):
        assert asked.status_code == 403
        assert client.post(action_url(stray, "dismiss"), NOTES).status_code == 403
        assert action_url(stray, "dismiss") not in shown(client, stray)
        return
    told = client.post(
        action_url(stray, "dismiss"), {"version": asked.context["version"], **NOTES}, follow=True
    )

    assert NOTES["note"] in told.content.decode()
    assert "x.json" not in client.get(attention).content.decode()
    assert AuditLog.objects.get(action=Action.DISMISSED).entity_id == str(stray.pk)


def test_a_failed_export_whose_order_went_on_needs_nobody(site):
    export, client = failed(site, FailedAs.NOT_SENT), as_role(site.org)
    attention = url("erp_connectors_erpexport_changelist") + "?attention=yes"
    assert export.filename in client.get(attention).content.decode()

    factories.set_status(export.draft_order, DraftStatus.NEEDS_REVIEW)

    assert export.filename not in client.get(attention).content.decode()


def test_the_files_are_shown_escaped_and_downloaded_as_they_are(site):
    (export,) = sent(site)
    body = ACKED.replace(b"SO-1", b"<script>alert(1)</script>")
    site.answer(f"ack_{export.filename}", body)
    poll(site.connection.pk)
    client = as_role(site.org, Role.VIEWER)

    page = client.get(change(export) + "?show=file").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "Kabel NYM-J 3x1,5 mm²" in page
    ack = AckFile.objects.get()
    saved = client.get(url("erp_export_ack", export.pk, ack.pk))
    assert saved.content == body
    assert saved["Content-Disposition"] == f'attachment; filename="ack_{export.filename}"'
    assert saved["Content-Type"] == "application/octet-stream"


def test_another_exports_ack_is_not_downloaded_here(site):
    mine, other = sent(site, 2)
    site.answer(f"ack_{other.filename}", ACKED)
    poll(site.connection.pk)

    assert as_role(site.org).get(url("erp_export_ack", mine.pk, AckFile.objects.get().pk)).status_code == 404


def test_an_archive_that_fails_is_told_on_the_page(site):
    (export,) = sent(site)
    storages["exports"].delete(export.export_storage_key)
    storages["exports"].save(export.export_storage_key, ContentFile(b"{}"))

    page = as_role(site.org).get(change(export) + "?show=file").content.decode()

    assert ARCHIVE_ALTERED.meaning in page
    assert ARCHIVE_ALTERED.hint in page


def test_a_proof_is_there_for_what_was_sent_and_says_so_for_the_rest(site):
    done, waiting = acked(site), pending(site)
    client = as_role(site.org, Role.VIEWER)

    proof = client.get(url("erp_export_proof", done.pk)).content.decode()
    none = client.get(url("erp_export_proof", waiting.pk)).content.decode()

    assert all(
        fact in proof for fact in (done.filename, done.sha256, done.dropzone_path, "SO-1", site.org.name)
    )
    assert "it has this SHA-256" in proof
    assert "there is no proof of delivery" in none
    assert url("erp_export_proof", waiting.pk) not in shown(client, waiting)


@pytest.mark.parametrize("name", ["erp_export_proof", "erp_export_payload"])
def test_another_orgs_files_are_not_there(site, name):
    export = acked(site)
    stranger = as_role(factories.org(), Role.ADMIN)

    assert stranger.get(url(name, export.pk)).status_code == 404
    assert stranger.get(url("erp_export_ack", export.pk, AckFile.objects.get().pk)).status_code == 404
    assert stranger.get(action_url(export, "retry")).status_code == 404


def test_what_was_recorded_about_the_server_is_shown_before_what_is_set_up_now(site):
    export = acked(site)
    recorded = "ssh-ed25519 SHA256:abc"
    ERPExport.objects.filter(pk=export.pk).update(
        staged_destination="sftp://erp@old.example:22|/in", staged_host_key=recorded
    )

    proof = as_role(site.org).get(url("erp_export_proof", export.pk)).content.decode()

    assert "sftp://erp@old.example:22" in proof
    assert recorded in proof


def test_who_may_not_set_up_connections_gets_no_link_to_one(site):
    export = acked(site)

    assert change(site.connection) in shown(as_role(site.org, Role.INTEGRATOR), export)
    assert change(site.connection) not in shown(as_role(site.org, Role.OPS), export)


@pytest.mark.parametrize("kind", ["order", "export"])
def test_a_page_costs_the_same_however_long_the_story(site, kind, django_assert_max_num_queries):
    export = replaced(site)
    client = as_role(site.org)
    row = export.draft_order if kind == "order" else export
    for _ in range(4):
        deliver(site.connection.pk)
        newest = ERPExport.objects.latest("created_at")
        mark_refused(newest.pk, actor=factories.user(site.org), note="nein")
        retry_push(export.draft_order_id, actor=None)

    with django_assert_max_num_queries(18):
        client.get(change(row))


def test_a_thousand_lines_are_read_with_their_sums(site):
    draft = factories.draft(site.org, status=DraftStatus.PUSHED, lines=1000)
    draft.lines.filter(line_no=3).update(unit_price=None)
    client = as_role(site.org)

    page = shown(client, draft)

    assert page.count('<tr><td class="number">') == 1000
    assert "12.96 EUR" in page
    assert "Sum of the lines" not in page
    draft.lines.filter(line_no=3).delete()
    assert "12947.04 EUR" in shown(client, draft)
