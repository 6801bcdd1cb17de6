"""Real threads against the real database."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from erp_connectors import leases
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push
from orderflow.tenancy import scope
from tests import factories

THREADS = 8


def together(action):
    """What each of `THREADS` threads got from doing the same at the same moment."""
    start = Barrier(THREADS)

    @scope.everything()
    def run(_):
        try:
            start.wait()
            return action()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [None, "one-key"])
def test_many_pushes_at_once_make_one_export(tmp_path, key):
    org = factories.org()
    factories.connection(org, {"mode": "filesystem", "export_path": str(tmp_path)})
    order, actor = factories.draft(org), factories.user(org)

    results = together(lambda: push(order.pk, actor=actor, idempotency_key=key))

    assert len({result.export.pk for result in results}) == 1
    assert sum(result.created for result in results) == 1
    assert ERPExport.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_of_many_workers_gets_the_lease():
    row = factories.connection(factories.org(), {"mode": "filesystem", "export_path": "/x"})

    taken = together(lambda: leases.take(row.pk, leases.DELIVERY))

    assert sum(lease is not None for lease in taken) == 1
