from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from erp_connectors import circuit, leases
from erp_connectors.faults import LOGIN_REFUSED, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many
from erp_connectors.states import Stage
from orderflow.heartbeat.models import Heartbeat
from orderflow.tenancy.models import Org
from tests import factories
from tests.services.acks.test_poll import sent
from tests.services.conftest import make_site  # noqa: F401  # a fixture
from tests.services.delivery.test_statements import accepted, answer_all, refused

TOKEN = "a-token-for-scrapes"


@pytest.fixture
def scrape(client, settings):
    settings.METRICS_TOKEN = TOKEN

    def read():
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name.removeprefix("orderflow_"), *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    return read


def test_queue_circuit_and_late_answers_are_told_by_connection(make_site, scrape):  # noqa: F811
    site = make_site(ack_timeout=60)
    late, answered = sent(site, 2)
    ERPExport.objects.filter(pk=late.pk).update(overdue_at=timezone.now())
    orders = factories.drafts(site.org, 3)
    push_many(factories.ids(orders), actor=None)
    ERPExport.objects.filter(status="PENDING").update(created_at=timezone.now() - timedelta(minutes=5))
    ERPConnection.objects.update(circuit_opened_at=timezone.now())
    poll(site.connection.pk)

    found, which = scrape(), sorted((str(site.connection.pk), site.org.slug))

    assert found["queue_exports", *which] == 3
    assert 300 <= found["queue_oldest_seconds", *which] < 400
    assert found["unanswered_exports", *which] == 2
    assert found["overdue_exports", *which] == 1
    assert found["circuit_open", *which] == 1
    assert 0 <= found["poll_age_seconds", *which] < 60
    assert answered.status == "SENT"


def test_a_day_is_counted_from_push_to_answer(make_site, scrape):  # noqa: F811
    site = make_site()
    push_many(factories.ids(factories.drafts(site.org, 4)), actor=None)
    ERPExport.objects.update(created_at=timezone.now() - timedelta(seconds=20))
    deliver(site.connection.pk)
    ERPExport.objects.update(sent_at=timezone.now() - timedelta(minutes=3))
    answer_all(site, accepted, accepted, accepted, refused)
    poll(site.connection.pk)

    found = scrape()

    entered = {status: found["exports_total", status] for status in ("PENDING", "SENT", "ACKED", "FAILED")}
    assert entered == {"PENDING": 4, "SENT": 4, "ACKED": 3, "FAILED": 1}
    assert found["export_failures_total", "REFUSED_BY_ERP"] == 1
    assert found["ack_files_total", "APPLIED"] == 4
    assert found["orders_in_error",] == 1
    assert [found["delivery_seconds_bucket", le] for le in ("10.0", "30.0", "+Inf")] == [0, 4, 4]
    assert 80 <= found["delivery_seconds_sum",] < 120
    assert [found["ack_seconds_bucket", le] for le in ("120.0", "300.0", "+Inf")] == [0, 4, 4]


def test_counters_do_not_go_down_when_exports_are_pruned(make_site, scrape):  # noqa: F811
    site = make_site()
    sent(site, 3)
    before = scrape()

    ERPExport.objects.all().delete()

    after = scrape()
    counters = [name for name in before if name[0].endswith(("_total", "_bucket", "_count", "_sum"))]
    assert before["exports_total", "SENT"] == 3
    assert {name: after[name] for name in counters} == {name: before[name] for name in counters}


def test_what_goes_wrong_is_counted_by_its_code(make_site, scrape):  # noqa: F811
    site = make_site()
    push_many(factories.ids(factories.drafts(site.org, 2)), actor=None)
    site.inbox.rmdir()

    deliver(site.connection.pk)

    found = scrape()
    assert found["delivery_faults_total", "FOLDER_MISSING"] == 2
    assert found["export_failures_total", "FOLDER_MISSING"] == 0
    assert found["circuits_opened_total", "FOLDER_MISSING"] == 1
    assert found["export_failures_total", "LOGIN_REFUSED"] == 0


def test_a_circuit_that_opens_again_while_open_counts_once(make_site, scrape):  # noqa: F811
    site, now = make_site(), timezone.now()
    reason = Fault(LOGIN_REFUSED, "no").as_error(stage=Stage.CONNECT, attempt=1, at=now)
    for _ in range(3):
        circuit.open_circuit(site.connection, reason, now=now)

    assert scrape()["circuits_opened_total", "LOGIN_REFUSED"] == 1


def test_a_lease_taken_from_a_silent_worker_is_counted(make_site, scrape):  # noqa: F811
    pk = make_site().connection.pk
    leases.take(pk, leases.POLL)
    assert leases.take(pk, leases.POLL) is None
    ERPConnection.objects.update(poll_lease_until=timezone.now() - timedelta(seconds=1))

    assert leases.take(pk, leases.POLL).took_over

    found = scrape()
    assert (found["lease_takeovers_total", "poll"], found["lease_takeovers_total", "delivery"]) == (1, 0)


def test_workers_and_the_archives_backlog_are_told(make_site, scrape):  # noqa: F811
    site, now = make_site(), timezone.now()
    assert ("worker_heartbeat_age_seconds",) not in scrape()
    sent(site, 2)
    ERPExport.objects.update(payload=b"{}", created_at=now - timedelta(hours=1))
    Heartbeat.objects.create(cluster="a", beat_at=now - timedelta(seconds=90))
    Heartbeat.objects.create(cluster="b", beat_at=now - timedelta(seconds=30))

    found = scrape()

    assert found["archive_backlog_exports",] == 2
    assert 3600 <= found["archive_backlog_oldest_seconds",] < 3700
    assert 30 <= found["worker_heartbeat_age_seconds",] < 60
    assert found["worker_clusters",] == 2


def test_a_scrape_asks_as_much_of_one_connection_as_of_many(make_site, scrape, django_assert_num_queries):  # noqa: F811
    make_site()
    with django_assert_num_queries(8):
        scrape()
    for _ in range(5):
        make_site()
    with django_assert_num_queries(8):
        scrape()


def test_of_too_many_connections_failing_ones_are_shown(make_site, scrape, settings):  # noqa: F811
    settings.METRICS_CONNECTIONS = 2
    sites = [make_site() for _ in range(4)]
    ERPConnection.objects.filter(pk=sites[3].connection.pk).update(circuit_opened_at=timezone.now())

    found = scrape()

    assert sum(name[0] == "circuit_open" for name in found) == 2
    assert found["circuit_open", *sorted((str(sites[3].connection.pk), sites[3].org.slug))] == 1
    assert (found["connections",], found["connections_left_out",]) == (4, 2)


def test_a_strange_slug_stays_within_its_label(make_site, scrape):  # noqa: F811
    site = make_site()
    Org.objects.update(slug='a"} 1\nb\\')

    assert scrape()["queue_exports", *sorted((str(site.connection.pk), 'a"} 1\nb\\'))] == 0


@pytest.mark.parametrize(
    ("token", "offered", "status"),
    [("", "Bearer ", 404), (TOKEN, "Bearer ", 401), (TOKEN, "Bearer wrong", 401), (TOKEN, TOKEN, 401)],
)
def test_without_the_token_nothing_is_told(client, settings, token, offered, status):
    settings.METRICS_TOKEN = token

    assert client.get("/metrics", headers={"Authorization": offered}).status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("10.1.2.3", None, 200),
        ("::ffff:10.1.2.3", None, 200),
        ("10.1.2.3", "10.1.9.9", 200),
        ("10.2.0.1", None, 401),
        ("10.1.2.3", "203.0.113.7", 401),
        ("10.1.2.3", "10.1.9.9, 203.0.113.7", 401),
        ("203.0.113.7", "10.1.9.9", 401),
        ("", None, 401),
        ("10.1.2.3", "nonsense", 401),
    ],
)
def test_from_an_allowed_network_only_by_a_way_that_is_allowed_throughout(
    client, settings, peer, forwarded, status
):
    settings.METRICS_ALLOWED_NETWORKS = [ip_network("10.1.0.0/16")]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    assert client.get("/metrics", REMOTE_ADDR=peer, headers=headers).status_code == status


def test_a_database_that_is_down_is_told_in_one_line(client, settings, monkeypatch):
    settings.METRICS_TOKEN = TOKEN

    def down():
        raise OperationalError("password authentication failed for user geheim")

    monkeypatch.setattr("erp_connectors.services.upkeep.gauges.connections", down)

    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    assert (answer.status_code, answer.content) == (503, b"The database does not answer.\n")
