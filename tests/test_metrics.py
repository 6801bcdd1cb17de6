from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks import poll
from erp_connectors.services.push import push_many
from tests import factories
from tests.services.conftest import make_site  # noqa: F401  # a fixture
from tests.services.test_acks import sent

TOKEN = "a-token-for-scrapes"


@pytest.fixture
def scrape(client, settings):
    settings.METRICS_TOKEN = TOKEN

    def read():
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name, sample.labels.get("status") or sample.labels["connection"]): sample.value
            for family in families
            for sample in family.samples
        }

    return read


def test_exports_queue_circuit_and_late_answers_are_there(make_site, scrape):  # noqa: F811
    site = make_site(ack_timeout=60)
    late, answered = sent(site, 2)
    ERPExport.objects.filter(pk=late.pk).update(overdue_at=timezone.now())
    orders = factories.drafts(site.org, 3)
    push_many(factories.ids(orders), actor=None)
    ERPExport.objects.filter(status="PENDING").update(created_at=timezone.now() - timedelta(minutes=5))
    ERPConnection.objects.update(circuit_opened_at=timezone.now())
    poll(site.connection.pk)

    found, pk = scrape(), str(site.connection.pk)

    assert found["orderflow_exports", "SENT"] == 2
    assert found["orderflow_exports", "FAILED"] == 0
    assert found["orderflow_queue_exports", pk] == 3
    assert 300 <= found["orderflow_queue_oldest_seconds", pk] < 400
    assert found["orderflow_overdue_exports", pk] == 1
    assert found["orderflow_circuit_open", pk] == 1
    assert 0 <= found["orderflow_poll_age_seconds", pk] < 60
    assert answered.status == "SENT"


def test_a_scrape_asks_as_much_of_one_connection_as_of_many(make_site, scrape, django_assert_num_queries):  # noqa: F811
    make_site()
    with django_assert_num_queries(4):
        scrape()
    for _ in range(5):
        make_site()
    with django_assert_num_queries(4):
        scrape()


@pytest.mark.parametrize(
    ("token", "offered", "status"), [("", "", 404), (TOKEN, "", 401), (TOKEN, "wrong", 401)]
)
def test_without_the_token_nothing_is_told(client, settings, token, offered, status):
    settings.METRICS_TOKEN = token

    assert client.get("/metrics", headers={"Authorization": f"Bearer {offered}"}).status_code == status
