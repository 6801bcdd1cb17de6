"""An order can be deleted until it was approved; the audit log keeps what it was."""

import pytest

from orderflow.audit.models import Action, AuditLog
from orderflow.orders.approval import approve
from orderflow.orders.drafting import create_draft
from orderflow.orders.models import Document, DraftOrder
from orderflow.orders.review import take_back
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import CREATE, client_of

BEFORE_APPROVAL = (DraftStatus.NEW, DraftStatus.EXTRACTED, DraftStatus.NEEDS_REVIEW, DraftStatus.READY)
SHA256 = "0" * 64


@pytest.fixture
def org(db):
    return factories.org()


@pytest.mark.parametrize("status", DraftStatus)
def test_only_what_was_not_approved_is_deleted(org, status):
    draft = factories.draft(org, status=status)

    answer = client_of(org).delete(f"{CREATE}/{draft.pk}")

    gone = status in BEFORE_APPROVAL
    assert answer.status_code == (204 if gone else 409), answer.content
    assert DraftOrder.objects.filter(pk=draft.pk).exists() is not gone
    (entry,) = AuditLog.objects.filter(action=Action.DRAFT_DELETED, entity_id=draft.pk) if gone else (None,)
    if entry:
        assert (entry.before["external_order_number"], entry.before["status"]) == (
            draft.external_order_number, status,
        )  # fmt: skip
        assert entry.actor is not None


def test_an_order_whose_approval_was_taken_back_stays(org):
    actor, draft = factories.user(org), factories.draft(org, status=DraftStatus.READY)
    approve(draft.pk, actor=actor)
    take_back(draft.pk, actor=actor)

    answer = client_of(org).delete(f"{CREATE}/{draft.pk}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert DraftOrder.objects.exists()


def test_its_document_goes_with_it_unless_another_order_has_it(org):
    fields = {"file_name": "a.pdf", "sha256": SHA256, "size": 1}
    first = create_draft(org, header={}, lines=[], document=fields)
    second = DraftOrder.objects.create(org=org, document=first.document)
    client = client_of(org)

    client.delete(f"{CREATE}/{first.pk}")
    assert Document.objects.count() == 1
    client.delete(f"{CREATE}/{second.pk}")
    assert not Document.objects.exists()


def test_a_repeated_request_with_its_key_is_answered_the_same(org):
    draft, client = factories.draft(org, status=DraftStatus.READY), client_of(org)
    url, key = f"{CREATE}/{draft.pk}", {"Idempotency-Key": "k-1"}

    assert [client.delete(url, headers=key).status_code for _ in range(2)] == [204, 204]
    assert client.delete(url).status_code == 404
    assert AuditLog.objects.filter(action=Action.DRAFT_DELETED).count() == 1


def test_another_orgs_order_is_not_there_and_a_viewer_may_not(org):
    draft = factories.draft(org, status=DraftStatus.READY)

    assert client_of(factories.org(), Role.ADMIN).delete(f"{CREATE}/{draft.pk}").status_code == 404
    assert client_of(org, Role.VIEWER).delete(f"{CREATE}/{draft.pk}").status_code == 403
    assert DraftOrder.objects.exists()
