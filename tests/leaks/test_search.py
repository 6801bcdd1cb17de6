"""The search finds what was put there: in each kind of place, and in each spelling."""

import base64
import logging
import sys
from urllib.parse import quote

import pytest

from erp_connectors.models import ERPConnection
from orderflow import jobs, tracing
from orderflow.orders.models import Customer
from tests import factories
from tests.leaks.canaries import Canary

pytestmark = pytest.mark.deep


@pytest.mark.parametrize(
    "spell",
    [
        str, repr, ascii, quote, lambda v: v.encode().hex(), lambda v: v[:12], lambda v: v[len(v) // 2 :],
        *(lambda v, n=n: base64.b64encode(b"x" * n + v.encode() + b"yz").decode() for n in range(5)),
    ],
)  # fmt: skip
def test_every_spelling_is_known(spell):
    canary = Canary("any")

    assert canary.found_in(f"before {spell(canary.value)} after")
    assert not canary.found_in(f"before {spell(Canary('other').value)} after")


def test_what_is_planted_is_found_in_every_kind_of_place(leaks, tmp_path):
    canary = leaks.canary("planted")
    org = factories.org(slug=canary.value[:12])
    customer = factories.customer(org, name=canary.value)
    connection = factories.connection(org, {"mode": "filesystem", "export_path": str(tmp_path)})
    ERPConnection.objects.filter(pk=connection.pk).update(circuit_reason={"code": canary.value, "params": {}})
    jobs.enqueue("erp_connectors.tasks.deliver", canary.value)
    (tmp_path / "order.reason.txt").write_text(canary.value)
    for name in ("paramiko.transport", "botocore", "urllib3", "django.request", "django-q"):
        logging.getLogger(name).debug("%s says %s", name, canary.value)
    print(canary.value)
    print(canary.value, file=sys.stderr)
    with tracing.span(f"planted {canary.value}"):
        pass
    assert Customer.objects.get() == customer

    found = "\n".join(leaks.found(org, connection, customer, returned=canary.value))

    for place in (
        "orders_customer.name", "erp_connectors_erpconnection.circuit_reason", "queued ", "file order.reason.txt",
        "in figures", "log json", "log console", "stdout", "stderr", "span planted", "GET /admin/orders/customer/",
        "GET /api/v1/", "in returned",
    ):  # fmt: skip
        assert place in found, place
