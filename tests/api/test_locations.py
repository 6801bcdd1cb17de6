"""What was made is where the Location header says, also in a repeated answer."""

import pytest

from erp_connectors.models import ERPConnection
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.api.test_idempotency import CREATE, client_of


@pytest.fixture
def org(db, tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return factories.org()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k-1"}])
def test_of_an_order_and_of_its_exports(org, tmp_path, headers):
    factories.connection(org, {"mode": "filesystem", "export_path": str(tmp_path)})
    client = client_of(org)

    made = [client.post(CREATE, {"notes": "x"}, format="json", headers=headers) for _ in range(2)]
    for answer in made:
        assert client.get(answer["Location"]).json()["id"] == answer.json()["id"]
    order = factories.draft(org)
    for _ in range(2):
        answer = client.post(f"{CREATE}/{order.pk}/push", headers=headers)
        assert client.get(answer["Location"]).json()["id"] == answer.json()["erp_export_id"]
    DraftOrder.objects.filter(pk=order.pk).update(status=DraftStatus.ERROR)
    order.exports.update(status="FAILED", failed_as="NOT_SENT")
    again = client.post(f"{CREATE}/{order.pk}/retry-push", headers=headers)
    assert client.get(again["Location"]).json()["id"] == again.json()["erp_export_id"]


def test_of_a_connection(org, tmp_path):
    client = client_of(org, Role.INTEGRATOR)
    body = {"config": {"mode": "filesystem", "export_path": str(tmp_path)}}

    answer = client.post("/api/v1/connectors", body, format="json")

    assert client.get(answer["Location"]).json()["id"] == str(ERPConnection.objects.get().pk)


def test_what_makes_nothing_has_none(org):
    order = factories.draft(org, status=DraftStatus.READY)

    assert "Location" not in client_of(org).post(f"{CREATE}/{order.pk}/approve")
