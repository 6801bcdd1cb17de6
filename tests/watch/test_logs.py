"""Each line says for whom it is: request, org, connection, export; in web and worker, once, as JSON or for people."""

import json
import logging
import sqlite3
from io import StringIO

import pytest
import structlog
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors import tasks
from erp_connectors.models import ERPExport
from erp_connectors.services.exports.push import push, push_many
from orderflow.tenancy.roles import Role
from tests import factories
from tests.jobs.processes import new_world
from tests.services.conftest import make_site  # noqa: F401  # a fixture
from tests.services.delivery.test_statements import accepted, answer_all, refused

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lines():
    """What production's log would hold, read back."""
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=settings.LOGGING["formatters"]["structured"]["foreign_pre_chain"],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.getLogger().addHandler(handler)
    yield lambda *events: [
        line for line in map(json.loads, out.getvalue().splitlines()) if not events or line["event"] in events
    ]
    logging.getLogger().removeHandler(handler)


def api(org, request_id, role=Role.OPS):
    client = APIClient(headers={"X-Request-ID": request_id})
    client.force_authenticate(factories.user(org, role))
    return client


def test_an_export_is_followed_from_the_request_to_the_answer_by_its_own_ids(make_site, lines):  # noqa: F811
    site = make_site()
    draft = factories.draft(site.org)

    api(site.org, "asked-here").post(f"/api/v1/draft-orders/{draft.pk}/push")
    tasks.deliver(str(site.connection.pk), request_id="somebody-elses")
    answer_all(site, accepted)
    tasks.poll(str(site.connection.pk))

    export = ERPExport.objects.get()
    told = lines("export.pushed", "export.sent", "export.acked")
    assert [line["event"] for line in told] == ["export.pushed", "export.sent", "export.acked"]
    ids = {
        "request_id": "asked-here",
        "org_id": str(site.org.pk),
        "connection_id": str(site.connection.pk),
        "export_id": str(export.pk),
        "draft_order_id": str(draft.pk),
    }
    assert [{name: line[name] for name in ids} for line in told] == [ids] * 3
    assert [line.get("task") for line in told] == [None, "deliver", "poll"]


def test_exports_of_several_requests_in_one_batch_keep_theirs(make_site, lines):  # noqa: F811
    site = make_site()
    for request_id in ("first", "second"):
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            push(factories.draft(site.org).pk, actor=None)

    tasks.deliver(str(site.connection.pk), request_id="second")

    assert [line["request_id"] for line in lines("export.sent")] == ["first", "second"]


def test_what_fails_says_why_and_what_is_refused_what_the_erp_said(make_site, lines):  # noqa: F811
    site = make_site()
    odd, fine = factories.drafts(site.org, 2)
    push_many([odd.pk, fine.pk], actor=None)
    odd.lines.update(internal_sku="")
    site.inbox.rmdir()
    tasks.deliver(str(site.connection.pk))
    assert {(one["event"], one["code"]) for one in lines("export.failed", "export.held")} == {
        ("export.failed", "SCHEMA_VIOLATION"),
        ("export.held", "FOLDER_MISSING"),
    }

    other = make_site()
    push(factories.draft(other.org).pk, actor=None)
    tasks.deliver(str(other.connection.pk))
    answer_all(other, refused)
    tasks.poll(str(other.connection.pk))

    (line,) = lines("export.refused")
    assert line["answer"] == "refused: X No 0"


def test_any_line_from_within_a_task_names_connection_and_org(make_site, lines, monkeypatch):  # noqa: F811
    site = make_site()
    push(factories.draft(site.org).pk, actor=None)

    def broken(*args, **options):
        logging.getLogger("some.library").warning("odd")
        raise ZeroDivisionError

    monkeypatch.setattr("erp_connectors.services.delivery.deliver._stage", broken)

    tasks.deliver(str(site.connection.pk))

    for line in lines("odd", "delivery.internal_error"):
        assert (line["connection_id"], line["org_id"]) == (str(site.connection.pk), str(site.org.pk))
    assert "ZeroDivisionError" in lines("delivery.internal_error")[0]["exception"]
    assert "org_id" not in structlog.contextvars.get_contextvars()


def test_an_archive_that_is_down_says_whose_copies_wait(make_site, lines, settings, tmp_path):  # noqa: F811
    site = make_site()
    push(factories.draft(site.org).pk, actor=None)
    (tmp_path / "archive").write_text("no folder")
    backend = "erp_connectors.folder_storage.FolderStorage"
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / "archive")}},
    }

    tasks.deliver(str(site.connection.pk))

    (line,) = lines("archive.unavailable")
    assert line["connection_id"] == str(site.connection.pk)


def test_what_is_rolled_back_is_not_told(make_site, lines):  # noqa: F811
    site = make_site()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        push(factories.draft(site.org).pk, actor=None)
        raise ZeroDivisionError

    assert lines("export.pushed") == []


def test_each_request_has_one_line_with_who_asked_and_not_what_was_searched_for(lines):
    org = factories.org()
    asker = api(org, "r-1", Role.VIEWER)

    asker.get("/api/v1/customers", {"search": "Geheim GmbH"})
    asker.get("/api/v1/nothing-here")

    found = [line for line in lines() if line["logger"] != "django_q"]
    assert [(line["event"], line["path"], line["status"]) for line in found] == [
        ("request", "/api/v1/customers", 200),
        ("request", "/api/v1/nothing-here", 404),
    ]
    assert (found[0]["request_id"], found[0]["org_id"]) == ("r-1", str(org.pk))
    assert "Geheim" not in json.dumps(found)


def test_a_person_in_the_admin_is_told_and_a_stranger_is_not_looked_up(client, lines):
    user = factories.user(factories.org(), Role.ADMIN)
    client.get(reverse("admin:login"))
    client.force_login(user)
    client.get(reverse("admin:index"))

    stranger, known = lines("request")
    assert "user_id" not in stranger
    assert (known["user_id"], known["org_id"]) == (str(user.pk), str(user.org_id))


def test_health_checks_and_scrapes_do_not_fill_the_log(client, lines):
    client.get("/healthz")
    client.get("/metrics")

    assert lines() == []


def test_an_error_has_its_trace_once(make_site, lines, monkeypatch):  # noqa: F811
    site = make_site()

    def broken(*args, **options):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("erp_connectors.api.orders.views.push", broken)
    draft = factories.draft(site.org)
    client = api(site.org, "r-2")
    client.raise_request_exception = False
    client.post(f"/api/v1/draft-orders/{draft.pk}/push")

    assert [line["event"] for line in lines()] == ["api.failed", "request"]
    assert lines("api.failed")[0]["exception"].count("ZeroDivisionError: oops") == 1


@pytest.mark.deep
def test_workers_write_nothing_but_json_lines_each_once_and_no_line_for_a_task_that_found_nothing(tmp_path):
    world = new_world(tmp_path, LOG_FORMAT="json")
    with world.running("run_workers", "--workers", "1") as workers:
        workers.wait_for(lambda: has_beaten(world.database), "a heartbeat")
    found = json_lines(workers.said())

    assert any("started, process group" in line.get("said", "") for line in found)
    assert any("stopped" in line.get("said", "") for line in found)
    assert "django-q" not in {line["logger"] for line in found}
    events = [(line["event"], line.get("said"), line["timestamp"][:19]) for line in found]
    assert len(events) == len(set(events)), "a line was written twice"


@pytest.mark.deep
def test_with_debug_the_queue_tells_its_tasks(tmp_path):
    world = new_world(tmp_path, LOG_FORMAT="json", LOG_LEVEL="DEBUG")
    with world.running("run_workers", "--workers", "1") as workers:
        workers.wait_until_said("ready for work at")
        workers.wait_until_said("Processed 'orderflow.heartbeat.tasks.beat'")

    assert "django-q" in {line["logger"] for line in json_lines(workers.said())}


def has_beaten(database):
    with sqlite3.connect(database, timeout=20) as rows:
        return rows.execute("SELECT 1 FROM heartbeat_heartbeat").fetchall() != []


def json_lines(said):
    found = [json.loads(line) for line in said.splitlines() if line.strip()]
    assert all({"event", "level", "timestamp", "logger"} <= set(line) for line in found)
    return found


@pytest.mark.deep
def test_on_a_terminal_it_is_text(tmp_path):
    world = new_world(tmp_path)
    show = "import structlog; structlog.get_logger('x').warning('export.sent', export_id='e-1')"

    text = world.manage("shell", "-v0", "-c", show).stderr
    machine = new_world(tmp_path, LOG_FORMAT="json").manage("shell", "-v0", "-c", show).stderr

    assert "export.sent" in text
    assert "export_id=e-1" in text
    assert json.loads(machine)["export_id"] == "e-1"
