"""Whether this process, and all it stands on, works; and that strangers learn no more than that."""

import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from erp_connectors.models import ERPConnection
from erp_connectors.watch import readiness_checks, ready
from erp_connectors.watch.check_results import ok
from orderflow.heartbeat.models import Heartbeat
from tests.services.conftest import make_site  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a-token-for-scrapes"
NAMES = {"database", "migrations", "broker", "storage", "workers", "polls"}


@pytest.fixture(autouse=True)
def _nothing_remembered(settings, tmp_path):
    settings.METRICS_TOKEN = TOKEN
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {
            "BACKEND": "erp_connectors.folder_storage.FolderStorage",
            "OPTIONS": {"location": str(tmp_path / "archive")},
        },
    }
    ready.clear_cache()
    yield
    ready.clear_cache()


@pytest.fixture
def workers():
    Heartbeat.objects.create(cluster="here", beat_at=timezone.now())


@pytest.fixture
def ask(client):
    def get(query="", *, known=True):
        headers = {"Authorization": f"Bearer {TOKEN}"} if known else {}
        answer = client.get(f"/readyz{query}", headers=headers)
        return answer.status_code, answer.json()

    return get


def failing(body):
    return {name for name, check in body["checks"].items() if check["status"] == "error"}


def test_the_process_answers_whatever_stands_behind_it(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_where_every_part_works(workers, make_site, ask):  # noqa: F811
    make_site()

    status, body = ask()

    assert (status, body["status"], set(body["checks"])) == (200, "ready", NAMES)
    assert failing(body) == set()


def test_without_workers_it_is_not_ready_but_the_parts_that_a_page_needs_are(ask):
    status, body = ask()
    assert (status, failing(body)) == (503, {"workers"})
    assert "run_workers" in body["checks"]["workers"]["to_do"]

    status, body = ask("?only=database,migrations")
    assert (status, set(body["checks"])) == (200, {"database", "migrations"})


def test_workers_that_fell_silent(ask):
    Heartbeat.objects.create(cluster="gone", beat_at=timezone.now() - timedelta(minutes=2))

    assert failing(ask()[1]) == {"workers"}


def test_an_archive_that_takes_nothing(workers, ask, tmp_path):
    (tmp_path / "archive").write_text("a file where a folder should be")

    status, body = ask()

    assert (status, failing(body)) == (503, {"storage"})


def test_ack_folders_that_nobody_looks_at(workers, make_site, ask):  # noqa: F811
    quiet, refusing = make_site(), make_site()
    long_ago = timezone.now() - timedelta(hours=1)
    ERPConnection.objects.filter(pk=refusing.connection.pk).update(
        last_poll_at=long_ago, poll_failures_in_row=3
    )
    assert failing(ask()[1]) == set(), "an ERP's own problem is not ours"

    ready.clear_cache()
    ERPConnection.objects.filter(pk=quiet.connection.pk).update(last_poll_at=long_ago)

    status, body = ask()
    assert (status, failing(body)) == (503, {"polls"})


def test_strangers_learn_which_part_fails_and_no_more(client, tmp_path):
    (tmp_path / "archive").write_text("")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"]["storage"] == {"status": "error"}
    assert str(tmp_path) not in answer.content.decode()
    assert {tuple(check) for check in answer.json()["checks"].values()} == {("status",)}


def test_a_part_that_does_not_exist_is_refused_by_name(client):
    answer = client.get("/readyz?only=database,nonsense")

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("There is no part 'nonsense'; there are: database, ")


def test_a_part_that_hangs_is_reported_and_asked_once_at_a_time(ask, monkeypatch):
    asked, may_answer = [], threading.Event()

    def hangs():
        asked.append(1)
        may_answer.wait(60)
        return [ok("at last")]

    monkeypatch.setattr(ready, "PATIENCE", 0.1)
    monkeypatch.setitem(readiness_checks.PARTS, "storage", hangs)

    answers = [ask("?only=storage")[0] for _ in range(3)]

    assert (answers, asked) == ([503, 503, 503], [1])
    may_answer.set()
    until = time.monotonic() + 60
    while ask("?only=storage")[0] != 200:
        assert time.monotonic() < until


def test_however_many_ask_the_archive_is_written_to_once(workers, ask, monkeypatch):
    asked = []

    def works():
        asked.append(1)
        return [ok("fine")]

    monkeypatch.setitem(readiness_checks.PARTS, "storage", works)

    for _ in range(20):
        ask("?only=storage", known=False)

    assert asked == [1]


def test_a_check_leaves_nothing_in_the_archive(workers, ask, tmp_path):
    ask("?only=storage")

    assert [path for path in (tmp_path / "archive").rglob("*") if path.is_file()] == []


def test_health_is_read_only(client):
    assert [client.post(f"/{name}").status_code for name in ("healthz", "readyz", "metrics")] == [405] * 3
