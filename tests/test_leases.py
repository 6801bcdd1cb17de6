"""One lease for everything that one worker at a time does: token and expiry in a row, by the database's clock."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db.models import Q
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.notifications.sending import SENDING
from erp_connectors.outbox.models import Subscription
from erp_connectors.retention.models import RetentionRun
from erp_connectors.retention.runs import PRUNING
from orderflow.transitions import LostRace
from tests import factories

pytestmark = pytest.mark.django_db
KINDS = (leases.DELIVERY, leases.POLL, SENDING, PRUNING)


def taken(row, kind):
    lease = leases.take(row.pk, kind)
    assert lease is not None
    return lease


def row_of(kind):
    org = factories.org()
    if kind.model is Subscription:
        return Subscription.objects.create(org=org, addresses="a@example.com")
    if kind.model is RetentionRun:
        return RetentionRun.objects.create(org=org)
    return factories.connection(org, {"mode": "filesystem", "export_path": "/x"})


def run_out(kind):
    kind.model.objects.update(**{f"{kind.columns}_until": timezone.now() - timedelta(seconds=1)})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.purpose)
def test_one_worker_holds_it_until_it_is_released_or_runs_out(kind):
    row = row_of(kind)
    first = taken(row, kind)
    assert leases.take(row.pk, kind) is None
    assert not kind.model.objects.filter(kind.free(timezone.now())).exists()

    leases.release(first)
    assert not taken(row, kind).took_over

    run_out(kind)
    assert kind.model.objects.filter(kind.free(timezone.now())).exists()
    assert taken(row, kind).took_over


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.purpose)
def test_who_lost_it_can_neither_renew_nor_release_it(kind):
    row = row_of(kind)
    frozen = taken(row, kind)
    run_out(kind)
    holder = taken(row, kind)

    with pytest.raises(LostRace):
        leases.renew(frozen)
    leases.release(frozen)

    assert leases.held(holder).exists()
    leases.renew(holder)


def test_a_row_that_asks_for_more_is_not_taken():
    row = row_of(PRUNING)
    RetentionRun.objects.update(finished_at=timezone.now())

    assert leases.take(row.pk, PRUNING, only_if=Q(finished_at=None)) is None
    assert RetentionRun.objects.filter(lease_token="").exists()


def test_each_lease_column_belongs_to_one_of_these_kinds():
    columns = {
        (model, field.name.removesuffix("_token"))
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.name.endswith("lease_token")
    }

    assert columns == {(kind.model, kind.columns) for kind in KINDS}
    assert {kind.purpose for kind in KINDS} == set(leases.LeasePurpose)
