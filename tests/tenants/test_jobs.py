"""Every background job: of one org it leaves the other's rows alone; of all of them it keeps them apart."""

import ast
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

import erp_connectors
import orderflow
from erp_connectors import tasks
from erp_connectors.bulk.models import BulkRow, BulkRun, Outcome
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.signing import signed_headers
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.retention import runs as retention
from erp_connectors.states import ExportStatus
from orderflow import jobs
from orderflow.heartbeat.tasks import beat
from orderflow.orders.states import DraftStatus
from tests.notifications.conftest import mailbox as mailbox
from tests.notifications.conftest import receiver as receiver
from tests.retention.conftest import age
from tests.tenants.twins import APPROVED, PENDING, SENT, mine, require_unmixed, state, told_of

pytestmark = pytest.mark.deep


def enqueued() -> Iterator[str]:
    """What is asked for by `jobs.enqueue` and `jobs.wake`, and what is scheduled, as dotted names."""
    yield from jobs.SCHEDULES.values()
    for package in (erp_connectors, orderflow):
        folder = Path(package.__path__[0])
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            yield from _asked_for(ast.parse(path.read_text()), ".".join(parts).removesuffix(".__init__"))


def _asked_for(tree: ast.Module, module: str) -> Iterator[str]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("jobs.enqueue", "jobs.wake"):
            asked = call.args[0]
            name = ast.unparse(asked)
            if isinstance(asked, ast.Constant):
                yield str(asked.value)
            elif name != "task":  # the loop over the schedules
                yield attrgetter(name)(import_module(module))


def deliver(both: Any) -> None:
    tasks.deliver(str(both[0].connection.pk))
    assert both[0].export(PENDING).status == ExportStatus.SENT


def poll(both: Any) -> None:
    tasks.poll(str(both[0].connection.pk))


def execute_run(both: Any) -> None:
    """Also where somebody has put the other's order among one's rows."""
    run = BulkRun.objects.get(org=both[0].org)
    BulkRow.objects.create(run=run, position=9, draft_order=both[1].orders[APPROVED])
    BulkRun.objects.filter(pk=run.pk).update(confirmed_at=timezone.now(), asked_from={})
    tasks.execute_run(str(run.pk))
    foreign = run.rows.get(position=9)
    assert (foreign.outcome, told_of(both[1], str(foreign.why))) == (Outcome.REFUSED, set())
    both[0].orders[APPROVED].refresh_from_db()
    assert both[0].orders[APPROVED].status == DraftStatus.PUSHING
    foreign.delete()


def notify(both: Any) -> None:
    for told in mine(Subscription, both[0].org):
        tasks.notify(str(told.pk))
    assert not mine(Notification, both[0].org).unsent().exists()


def poll_if_due(both: Any) -> None:
    tasks.poll_if_due(str(both[0].connection.pk))


def sweep(both: Any) -> None:
    tasks.sweep()


def poll_due(both: Any) -> None:
    tasks.poll_due()


def prune(both: Any) -> None:
    tasks.prune(str(retention.begin(org=both[0].org, older_than=100).pk))
    assert mine(ERPExport, both[0].org).filter(payload_removed_at__isnull=False).exists()


def show_life(both: Any) -> None:
    beat()


# Those of all orgs change rows of both.
OF_ALL = {"erp_connectors.tasks.sweep", "erp_connectors.tasks.poll_due"}
JOBS: dict[str, Callable[[Any], None]] = {
    "erp_connectors.tasks.deliver": deliver,
    "erp_connectors.tasks.poll": poll,
    "erp_connectors.tasks.poll_if_due": poll_if_due,
    "erp_connectors.tasks.execute_run": execute_run,
    "erp_connectors.tasks.notify": notify,
    "erp_connectors.tasks.sweep": sweep,
    "erp_connectors.tasks.poll_due": poll_due,
    "erp_connectors.tasks.prune": prune,
    "orderflow.heartbeat.tasks.beat": show_life,
}


def test_every_job_has_an_entry() -> None:
    assert set(enqueued()) == set(JOBS)


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_keeps_the_orgs_apart(full, server, receiver, mailbox, name):
    other = full[1]
    Subscription.objects.filter(channel=Channel.WEBHOOK).update(url=receiver.url)
    for twin in full:
        answer = server.root / "ack" / f"ack_{twin.export(SENT).filename}"
        answer.write_text(f'{{"status": "ACKED", "erp_order_id": "{twin.mark}SO-7"}}')
    if name.endswith("prune"):
        age()
    before = state(other.org)

    JOBS[name](full)

    if name not in OF_ALL:
        assert state(other.org) == before
    require_unmixed(*full)
    for text in (*(request.body.decode() for request in receiver.got), *map(str, mailbox.got)):
        assert told_of(other, text) == set()


def test_one_address_for_two_orgs_webhooks_gets_each_orgs_news_under_its_own_key(full, receiver):
    """One secret verifies nothing that the other org's news say, though both come to the same place."""
    Subscription.objects.filter(channel=Channel.WEBHOOK).update(url=receiver.url)
    hooks = [Subscription.objects.get(org=twin.org, channel=Channel.WEBHOOK) for twin in full]

    for hook, twin, other in zip(hooks, full, full[::-1], strict=True):
        receiver.got.clear()
        tasks.notify(str(hook.pk))
        assert receiver.got
        for request in receiver.got:
            assert told_of(twin, request.body.decode())
            assert not told_of(other, request.body.decode())
            assert [signed(request, each) for each in hooks] == [each == hook for each in hooks]


def signed(request: Any, hook: Subscription) -> bool:
    told = request.headers
    keys = [hook.secrets["current"]]
    wanted = signed_headers(keys, told["webhook-id"], int(told["webhook-timestamp"]), request.body)
    return wanted["webhook-signature"] == told["webhook-signature"]


def test_a_job_of_nothing_changes_nothing(full):
    before = [state(twin.org) for twin in full]

    for name in ("deliver", "poll", "execute_run", "notify"):
        getattr(tasks, name)(str(uuid4()))

    assert [state(twin.org) for twin in full] == before


def test_each_polls_a_shared_folder_of_a_whole_round(full):
    """As the scheduler does it: all due at once, and nothing crosses."""
    ERPConnection.objects.update(last_poll_at=timezone.now() - timedelta(days=1))

    tasks.poll_due()
    for twin in full:
        tasks.poll(str(twin.connection.pk))

    require_unmixed(*full)
