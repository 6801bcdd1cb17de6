"""`manage.py doctor`: what is wrong, what to do, and an exit code; it changes nothing."""

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from erp_connectors import leases
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.watch import deployment
from orderflow.heartbeat.models import Heartbeat
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.secrets.crypto import MasterKey
from tests import factories
from tests.jobs.processes import new_world
from tests.servers.ssh import free_port
from tests.services.acks.test_poll import sent
from tests.services.conftest import make_site  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _workers():
    Heartbeat.objects.create(cluster="here", beat_at=timezone.now())


def doctor(*arguments):
    out, code = StringIO(), 0
    try:
        call_command("doctor", "--json", *arguments, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def wrong(found, check):
    return [one for one in found if one["check"] == check and one["level"] != "ok"]


def works(site):
    ERPConnection.objects.filter(pk=site.connection.pk).update(
        last_test_success=True, last_test_at=timezone.now()
    )


def test_where_all_is_well_it_says_so_in_a_line_a_check(make_site):  # noqa: F811
    works(make_site())

    code, found = doctor("--connections")

    assert code == 0
    assert [one for one in found if one["level"] != "ok"] == []
    assert {one["check"] for one in found} == {
        "settings", "disk", "database", "migrations", "broker", "storage", "workers", "polls", "pooler", "keys",
        "clock", "connections", "exports", "audit", "retention", "reachability",
    }  # fmt: skip


def test_every_problem_comes_with_what_to_do(make_site):  # noqa: F811
    site = make_site()
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(hours=1))
    ERPConnection.objects.filter(pk=site.connection.pk).update(
        circuit_opened_at=timezone.now(),
        circuit_reason={"code": "LOGIN_REFUSED", "params": {}},
    )

    code, found = doctor()

    assert code == 1
    assert all(one["to_do"] for one in found if one["level"] != "ok")
    (held,) = wrong(found, "connections")
    assert site.org.slug in held["what"]
    assert "The server refused the login." in held["what"]
    (silent,) = wrong(found, "workers")
    assert "manage.py run_workers" in silent["to_do"]


def test_exports_that_do_not_move_though_nothing_holds_them(make_site):  # noqa: F811
    site, held = make_site(), make_site()
    for place in (site, held):
        works(place)
        push(factories.draft(place.org).pk, actor=None)
    ERPExport.objects.update(created_at=timezone.now() - timedelta(hours=1))
    ERPConnection.objects.filter(pk=held.connection.pk).update(
        retry_at=timezone.now() + timedelta(minutes=5), failures_in_row=2
    )

    code, found = doctor()

    (stuck,) = wrong(found, "exports")
    assert code == 1
    assert stuck["what"].startswith(f"{site.org.slug} {str(site.connection.pk)[:8]}: 1 export waits since")
    assert stuck["to_do"].endswith(f"manage.py deliver --connection {site.connection.pk}")


def test_a_backlog_that_a_worker_is_sending_after_an_outage_is_no_problem(make_site):  # noqa: F811
    site = make_site()
    works(site)
    push(factories.draft(site.org).pk, actor=None)
    ERPExport.objects.update(created_at=timezone.now() - timedelta(hours=1))

    lease = leases.take(site.connection.pk, leases.DELIVERY)
    assert lease is not None
    with leases.kept(lease):
        assert not wrong(doctor()[1], "exports")
    assert wrong(doctor()[1], "exports")


def test_what_wants_a_person_is_a_warning_and_no_error(make_site):  # noqa: F811
    site = make_site()
    works(site)
    late, unknown = sent(site, 2)
    ERPExport.objects.filter(pk=late.pk).update(overdue_at=timezone.now())
    ERPExport.objects.filter(pk=unknown.pk).update(status=ExportStatus.FAILED, failed_as=FailedAs.UNKNOWN)
    DraftOrder.objects.filter(pk=unknown.draft_order_id).update(status=DraftStatus.ERROR)

    code, found = doctor()

    assert code == 0
    assert [one["level"] for one in wrong(found, "exports")] == ["warning"] * 3


def test_an_order_that_lost_its_export_is_found(make_site):  # noqa: F811
    site = make_site()
    works(site)
    lost = factories.draft(site.org, status=DraftStatus.PUSHING)

    code, found = doctor()

    assert code == 1
    assert str(lost.pk) in wrong(found, "exports")[0]["what"]


def test_a_connection_that_no_key_opens_and_one_under_an_older_key(make_site, settings):  # noqa: F811
    works(make_site())
    settings.ENCRYPTION_MASTER_KEY = MasterKey.generate().hex

    code, found = doctor()

    assert code == 1
    (sealed,) = wrong(found, "keys")
    assert sealed["to_do"] == "Finish the rotation: manage.py rotate_encryption_key"
    (unreadable,) = wrong(found, "connections")
    assert "key" in unreadable["what"]


def test_a_dropzone_that_is_gone_is_found_when_asked_for_and_nothing_is_recorded(make_site):  # noqa: F811
    here, gone = make_site(), make_site()
    works(here)
    works(gone)
    before = ERPConnection.objects.get(pk=gone.connection.pk).last_test_at
    gone.inbox.rmdir()

    assert wrong(doctor()[1], "reachability") == []
    code, found = doctor("--connections")

    (missing,) = wrong(found, "reachability")
    assert (code, missing["level"]) == (1, "error")
    assert missing["what"].startswith(f"{gone.org.slug} ")
    assert ERPConnection.objects.get(pk=gone.connection.pk).last_test_at == before
    assert list(here.inbox.iterdir()) == []


def test_a_host_whose_clock_is_wrong(monkeypatch):
    monkeypatch.setattr(deployment, "_database_clock", lambda: -7200.0)

    _, found = doctor()

    (clock,) = wrong(found, "clock")
    assert clock["level"] == "warning"
    assert "7200 s" in clock["what"]


def test_a_disk_that_is_full(monkeypatch):
    monkeypatch.setattr(deployment, "VERY_LITTLE", 10**18)
    monkeypatch.setattr(deployment, "LITTLE", 10**18)

    code, found = doctor()

    assert code == 1
    assert wrong(found, "disk")[0]["to_do"].startswith("Make room")


def test_for_people_it_is_text_that_ends_in_a_verdict():
    out = StringIO()

    call_command("doctor", stdout=out)

    assert "warning  connections  There is no active connection" in out.getvalue()
    assert "                      -> Add one in the admin." in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "Nothing is broken; 1 warning."


@pytest.mark.deep
def test_before_migrations_and_without_a_database_it_says_what_comes_first(tmp_path):
    world = new_world(tmp_path)
    world.database.unlink()
    done = world.manage("doctor")
    assert (done.returncode, "Run: manage.py migrate" in done.stdout) == (1, True)
    assert "Traceback" not in done.stdout + done.stderr

    password = f"geheim{uuid4().hex}"
    nowhere = f"postgres://orders:{password}@127.0.0.1:{free_port()}/orders"
    down = type(world)(world.folder, {**world.env, "DATABASE_URL": nowhere}).manage("doctor")
    assert (down.returncode, "correct DATABASE_URL" in down.stdout) == (1, True)
    assert "Traceback" not in down.stdout + down.stderr
    assert password not in down.stdout + down.stderr
