from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError
from django.utils import timezone

from erp_connectors.models import ERPExport
from erp_connectors.services.exports import push as push_service
from erp_connectors.services.exports.push import (
    AlreadyStarted,
    NoActiveConnection,
    NotPushable,
    push,
    push_many,
    retry_push,
)
from erp_connectors.states import ConnectionStatus, ExportStatus
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from tests import factories
from tests.refusals import refused


def test_a_push_makes_one_pending_export_and_says_who_asked(site):
    order, actor = factories.draft(site.org), factories.user(site.org)

    result = push(order.pk, actor=actor)

    order.refresh_from_db()
    assert result.created
    assert result.export.status == ExportStatus.PENDING
    assert order.status == DraftStatus.PUSHING
    assert result.export.filename.startswith(f"sales_order_{order.pk.hex[:8]}_")
    assert result.export.export_storage_key == f"exports/{site.org.pk}/{result.export.filename}"
    assert [event.what for event in result.export.events.all()] == ["pushed"]
    assert AuditLog.objects.get(action=Action.DRAFT_PUSH_REQUESTED).actor == actor


@pytest.mark.parametrize("key", [None, "key-1"])
def test_pushing_again_gives_the_same_export(site, key):
    order, actor = factories.draft(site.org), factories.user(site.org)
    first = push(order.pk, actor=actor, idempotency_key=key)

    again = push(order.pk, actor=actor, idempotency_key=key)

    assert not again.created
    assert again.export == first.export


def test_another_key_does_not_push_a_second_time(site):
    order, actor = factories.draft(site.org), factories.user(site.org)
    push(order.pk, actor=actor, idempotency_key="key-1")

    with refused(AlreadyStarted, "push.on_its_way") as caught:
        push(order.pk, actor=actor, idempotency_key="key-2")
    assert caught.value.export == ERPExport.objects.get()
    with refused(AlreadyStarted, "push.on_its_way"):
        retry_push(order.pk, actor=actor)
    DraftOrder.objects.update(status=DraftStatus.PUSHED)
    with refused(AlreadyStarted, "push.sent_before"):
        push(order.pk, actor=actor, idempotency_key="key-2")


def test_a_key_means_nothing_for_another_order(site):
    actor = factories.user(site.org)
    exports = {
        push(order.pk, actor=actor, idempotency_key="k").export for order in factories.drafts(site.org, 2)
    }

    assert len(exports) == 2


@pytest.mark.parametrize("status", [s for s in DraftStatus if s not in ("APPROVED", "PUSHING", "PUSHED")])
def test_only_an_approved_order_is_pushed(site, status):
    order = factories.draft(site.org, status=status)

    with pytest.raises(NotPushable) as refused:
        push(order.pk, actor=factories.user(site.org))
    assert refused.value.message.params == {"order": str(order), "status": status}
    assert not ERPExport.objects.exists()


def test_without_an_active_connection_nothing_changes(site):
    site.connection.status = ConnectionStatus.DISABLED
    site.connection.save()
    order = factories.draft(site.org)

    with pytest.raises(NoActiveConnection):
        push(order.pk, actor=factories.user(site.org))

    order.refresh_from_db()
    assert order.status == DraftStatus.APPROVED
    assert not ERPExport.objects.exists()


def test_another_orgs_order_does_not_exist(site):
    stranger = factories.user(factories.org())

    with pytest.raises(DraftOrder.DoesNotExist):
        push(factories.draft(site.org).pk, actor=stranger)


@pytest.mark.parametrize("status", [s for s in DraftStatus if s != "ERROR"])
def test_only_an_order_in_error_is_retried(site, status):
    with pytest.raises(NotPushable):
        retry_push(factories.draft(site.org, status=status).pk, actor=factories.user(site.org))


def test_a_retry_is_a_new_export(site):
    order = factories.draft(site.org, status=DraftStatus.ERROR)

    result = retry_push(order.pk, actor=factories.user(site.org))

    order.refresh_from_db()
    assert result.created
    assert order.status == DraftStatus.PUSHING
    assert AuditLog.objects.filter(action=Action.DRAFT_PUSH_RETRIED).count() == 1


def test_each_of_many_gets_its_own_answer(site):
    approved = factories.drafts(site.org, 3)
    new = factories.draft(site.org, status=DraftStatus.NEW)
    elsewhere = factories.draft(factories.org())
    unknown = uuid4()
    wanted = [*factories.ids(approved), new.pk, elsewhere.pk, unknown]

    results = push_many(wanted, actor=None)

    assert all(results[order.pk].created for order in approved)
    assert isinstance(results[new.pk], NotPushable)
    assert isinstance(results[elsewhere.pk], NoActiveConnection)
    assert isinstance(results[unknown], NotPushable)


def test_a_hundred_orders_cost_the_statements_of_one(site, django_assert_max_num_queries):
    orders = factories.drafts(site.org, 100)

    with django_assert_max_num_queries(15):
        push_many(factories.ids(orders), actor=None)


@pytest.fixture
def same_names(monkeypatch):
    """Two orders whose files would be called the same: the beginning of their ids, the second and the token agree."""
    now = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)

    def arrange(*tokens):
        left = list(tokens)
        monkeypatch.setattr(push_service, "token_hex", lambda size: left.pop(0))

    return arrange


def twins(*orgs):
    return [factories.draft(org, pk=UUID(int=(0xAAAAAAAA << 96) + n)) for n, org in enumerate(orgs)]


def test_a_file_name_that_another_org_has_is_not_used_again(make_site, same_names):
    ours, theirs = make_site().org, make_site().org
    first, second = twins(ours, theirs)
    same_names("00000001", "00000001", "00000001", "00000002")

    names = [push(order.pk, actor=None).export.filename for order in (first, second)]

    assert [name[-13:] for name in names] == ["00000001.json", "00000002.json"]
    assert {export.filename for export in ERPExport.objects.all()} == {*names}


def test_many_at_once_get_other_names_together(site, same_names):
    orders = twins(site.org, site.org)
    same_names("00000001", "00000001", "00000002", "00000003")

    results = push_many(factories.ids(orders), actor=None)

    assert {result.export.filename[-13:] for result in results.values()} == {"00000002.json", "00000003.json"}


def test_who_finds_no_free_name_changes_nothing(site, same_names):
    first, second = twins(site.org, site.org)
    same_names(*["00000001"] * 5)
    push(first.pk, actor=None)

    with pytest.raises(IntegrityError):
        push(second.pk, actor=None)

    second.refresh_from_db()
    assert (second.status, ERPExport.objects.count()) == (DraftStatus.APPROVED, 1)
