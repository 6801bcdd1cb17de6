"""The file as it was sent and the ack files as received: for people to read, whatever is in them."""

import hashlib
import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from erp_connectors.models import ERPExport
from erp_connectors.services.acks.manual_answers import mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from erp_connectors.services.status import export_files
from erp_connectors.services.status.export_files import acks_of, payload_of, readable
from erp_connectors.services.status.proof_of_delivery import proof_of
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.orders.approval import approve
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.services.acks.test_poll import ACKED, FAILED, again, sent


@pytest.fixture
def ops(site):
    return factories.user(site.org)


def test_the_file_is_laid_out_and_its_numbers_stay_digit_for_digit(site):
    draft = factories.draft(site.org)
    draft.lines.filter(line_no=1).update(qty="123456789012345.125")
    export = push(draft.pk, actor=None).export
    deliver(site.connection.pk)

    text = payload_of(again(export)).text

    assert '"qty": 123456789012345.125' in text
    assert text.count("\n") > 20
    assert json.loads(text) == json.loads(site.published()[export.filename])


def test_a_huge_file_is_shown_in_part_or_not_at_all(site, monkeypatch):
    (export,) = sent(site)
    monkeypatch.setattr(export_files, "SHOWN_SIGNS", 50)
    shown = payload_of(again(export))
    monkeypatch.setattr(export_files, "MAX_BYTES_READ", 10)

    assert (len(shown.text), shown.cut) == (50, True)
    assert "too large" in payload_of(again(export)).problem


def test_an_altered_or_absent_copy_is_told_with_what_to_do(site):
    altered, absent = sent(site, 2)
    storages["exports"].delete(altered.export_storage_key)
    storages["exports"].save(altered.export_storage_key, ContentFile(b"{}"))
    storages["exports"].delete(absent.export_storage_key)

    for export, what in ((altered, "differs from what was recorded"), (absent, "can't be read")):
        shown = payload_of(again(export))
        assert what in shown.problem
        assert shown.hint
        assert shown.text == ""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Größe".encode(), "Größe"),
        ("Größe".encode("utf-8-sig"), "Größe"),
        ("Größe".encode("utf-16"), "Größe"),
        ("Größe 5 €".encode("cp1252"), "Größe 5 €"),
        (b"\x81\x8d", "\ufffd\ufffd"),
        (b"a\r\nb\x00c\x1b[31m", "a\nb\ufffdc\ufffd[31m"),
        (b"", ""),
    ],
)
def test_any_bytes_become_something_to_look_at(body, text):
    assert readable(body) == text


def test_the_ack_as_received(site):
    (export,) = sent(site)
    body = FAILED.replace(b"customer", "Käufer".encode("cp1252"))
    site.answer(f"error_{export.filename}", body)
    poll(site.connection.pk)

    (ack_file,) = acks_of(again(export))

    assert "Unknown Käufer 4711" in ack_file.text
    assert ack_file.sha256 == hashlib.sha256(body).hexdigest()
    assert ack_file.ack.moved_to.endswith(f"error_{export.filename}")


def proof(export):
    return proof_of(ERPExport.objects.get(pk=export.pk))


def test_a_proof_says_what_was_recorded(site, ops):
    (export,) = sent(site)
    site.answer(f"ack_{export.filename}", ACKED)
    poll(site.connection.pk)

    found = proof(export)

    assert found.sent
    assert found.path == str(site.inbox / export.filename)
    assert (found.archive_ok, found.inferred) == (True, "")
    assert found.approved_by == export.draft_order.approved_by.email
    assert found.ack_text == ACKED.decode()
    assert found.ack.sha256 == hashlib.sha256(ACKED).hexdigest()


def test_a_proof_names_who_approved_then_not_who_did_since(site, ops):
    draft = factories.draft(site.org, status=DraftStatus.READY)
    approve(draft.pk, actor=ops)
    export = push(draft.pk, actor=None).export
    DraftOrder.objects.filter(pk=draft.pk).update(approved_by=factories.user(site.org), approved_at=None)

    assert proof(export).approved_by == ops.email


def test_an_altered_copy_is_not_hidden(site):
    (export,) = sent(site)
    storages["exports"].delete(export.export_storage_key)
    assert proof(export).archive_ok is None
    storages["exports"].save(export.export_storage_key, ContentFile(b"{}"))
    assert proof(export).archive_ok is False


def test_what_never_left_is_not_proven_though_a_person_says_the_erp_has_it(site, ops):
    export = push(factories.draft(site.org).pk, actor=None).export
    assert not proof(export).sent

    factories.set_status(export, ExportStatus.FAILED, failed_as=FailedAs.NOT_SENT)
    factories.set_status(export.draft_order, DraftStatus.ERROR)
    mark_accepted(export.pk, actor=ops, erp_order_id="SO-1", note="von Hand erfasst")

    assert again(export).sent_at
    assert not proof(export).sent
    assert "von Hand erfasst" in proof(export).manual_answer


def test_an_answer_by_hand_is_named_as_one(site, ops):
    (export,) = sent(site)
    mark_refused(export.pk, actor=ops, note="Kunde gesperrt")

    found = proof(export)

    assert (found.sent, found.ack) == (True, None)
    assert (found.manual_answer, found.manual_answer_by) == ("Kunde gesperrt", ops.email)
