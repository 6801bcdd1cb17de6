"""An answer that arrives while another transaction moves its export or its order."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.models import ERPExport
from erp_connectors.services.acks.manual_answers import MarkRefused, mark_accepted, mark_refused
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.exports import transitions
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.states import ExportStatus, FailedAs, Stage
from orderflow.orders.states import DraftStatus
from orderflow.tenancy import scope
from tests import factories
from tests.databases import wait_until_blocked
from tests.services.acks.test_poll import ACKED, FAILED
from tests.services.conftest import Site

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]

Answer = Callable[[Site, ERPExport, bytes], object]


def by_ack_file(site: Site, export: ERPExport, body: bytes) -> object:
    site.answer(f"{'ack' if body == ACKED else 'error'}_{export.filename}.json", body)
    return poll(site.connection.pk)


def by_hand(site: Site, export: ERPExport, body: bytes) -> object:
    actor = factories.user(site.org)
    if body == ACKED:
        return mark_accepted(export.pk, actor=actor, erp_order_id="SO-1", note="by phone")
    return mark_refused(export.pk, actor=actor, note="by phone")


@contextmanager
def held_open(during: Callable[[], object]) -> Iterator[Future[Any]]:
    """Run ``during`` in a thread while the block's transaction is open; commit once the thread waits for a lock."""

    @scope.everything()
    def run() -> object:
        try:
            return during()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        future: Future[Any] = Future()
        yield future
        running = pool.submit(run)
        running.add_done_callback(future.set_result)
        wait_until_blocked(lambda: not running.done())


def staged(site: Site) -> ERPExport:
    export = push(factories.draft(site.org).pk, actor=None).export
    path = f"{site.inbox}/{export.filename}.1.tmp"
    ERPExport.objects.filter(pk=export.pk).update(
        attempts=1, staged_at=timezone.now(), staged_path=path, staged_destination=str(site.inbox)
    )
    return ERPExport.objects.get(pk=export.pk)


@pytest.mark.parametrize("answer", [by_ack_file, by_hand])
def test_a_refusal_that_meets_the_commit_of_sent_puts_the_order_in_error(site: Site, answer: Answer) -> None:
    export = staged(site)

    with held_open(lambda: answer(site, export, FAILED)):
        assert transitions.publish([export], folder=str(site.inbox))

    after = ERPExport.objects.get(pk=export.pk)
    assert (after.status, after.failed_as) == (ExportStatus.FAILED, FailedAs.REFUSED)
    assert after.draft_order.status == DraftStatus.ERROR


@pytest.mark.parametrize("answer", [by_ack_file, by_hand])
def test_an_acceptance_that_meets_a_retry_does_not_free_the_order_to_be_sent_again(
    site: Site, answer: Answer
) -> None:
    export = staged(site)
    with transaction.atomic():
        transitions.fail([(export, Fault(CONNECTION_LOST), Stage.PUBLISH)], now=timezone.now())

    with held_open(lambda: answer(site, export, ACKED)) as answered:
        retry_push(export.draft_order_id, actor=None)

    after = ERPExport.objects.get(pk=export.pk)
    assert after.failed_as == FailedAs.UNKNOWN
    assert after.draft_order.status == DraftStatus.PUSHING
    if answer is by_hand:
        assert isinstance(answered.result().exception(), MarkRefused)
    else:
        assert after.conflict_json is not None
