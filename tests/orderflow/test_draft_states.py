"""The life of an order: every move that the table allows, and no other."""

from contextlib import suppress
from itertools import product
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, connections, transaction

from orderflow.messages import Message
from orderflow.orders import transitions
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DRAFT_MOVES, DraftStatus
from orderflow.tenancy import scope
from orderflow.transitions import IllegalMove, LostRace
from tests import factories
from tests.refusals import refused

S = DraftStatus
LEGAL = {
    (S.NEW, S.EXTRACTED),
    (S.EXTRACTED, S.NEEDS_REVIEW),
    (S.EXTRACTED, S.READY),
    (S.NEEDS_REVIEW, S.READY),
    (S.NEEDS_REVIEW, S.REJECTED),
    (S.READY, S.APPROVED),
    (S.APPROVED, S.PUSHING),
    (S.APPROVED, S.NEEDS_REVIEW),
    (S.PUSHING, S.PUSHED),
    (S.PUSHING, S.ERROR),
    (S.PUSHED, S.ERROR),
    (S.ERROR, S.PUSHING),
    (S.ERROR, S.NEEDS_REVIEW),
    (S.ERROR, S.PUSHED),
}
EVERY_PAIR = list(product(S, S))


def test_every_status_has_its_row():
    assert set(DRAFT_MOVES) == set(S)


@pytest.mark.django_db
def test_exactly_the_legal_moves_are_made():
    org = factories.org()
    made, wrong = set(), []
    for frm, to in EVERY_PAIR:
        draft = factories.draft(org, status=frm, lines=0)
        try:
            transitions.move(draft, to)
        except IllegalMove as refusal:
            if refusal.message != Message("order.illegal_move", status=frm, to=to):
                wrong.append((frm, to, str(refusal)))
        else:
            made.add((frm, to))
        draft.refresh_from_db()
        if draft.status != (to if (frm, to) in LEGAL else frm):
            wrong.append((frm, to, draft.status))

    assert made == LEGAL
    assert wrong == []


@pytest.mark.django_db
def test_many_at_once_obey_the_same_table():
    made = set()
    for frm, to in EVERY_PAIR:
        with suppress(IllegalMove):
            transitions.move_all([], from_statuses=[frm], to=to)
            made.add((frm, to))

    assert made == LEGAL


@pytest.mark.django_db
def test_many_at_once_cost_one_update_and_leave_those_that_moved_on(django_assert_num_queries):
    org = factories.org()
    drafts = factories.drafts(org, 3, lines=0)
    transitions.move(drafts[1], S.PUSHING)

    with django_assert_num_queries(1):
        moved = transitions.move_all(
            factories.ids(drafts), from_statuses=[S.APPROVED], to=S.NEEDS_REVIEW, approved_by=None
        )

    assert moved == 2
    for draft in drafts:
        draft.refresh_from_db()
    assert [draft.status for draft in drafts] == [S.NEEDS_REVIEW, S.PUSHING, S.NEEDS_REVIEW]
    assert [draft.approved_by is None for draft in drafts] == [True, False, True]


@pytest.mark.django_db
def test_a_stale_copy_loses_and_changes_nothing():
    draft = factories.draft(factories.org(), lines=0)
    stale = DraftOrder.objects.get(pk=draft.pk)
    transitions.move(draft, S.PUSHING)

    with refused(LostRace, "order.status_changed", status="APPROVED"):
        transitions.move(stale, S.NEEDS_REVIEW, notes="mine")

    draft.refresh_from_db()
    assert (draft.status, stale.status) == (S.PUSHING, S.APPROVED)
    assert draft.notes != "mine"


@pytest.mark.django_db(transaction=True)
def test_of_eight_at_once_one_wins():
    draft = factories.draft(factories.org(), lines=0)
    start, results = Barrier(8), []

    @scope.everything()
    def move():
        mine = DraftOrder.objects.get(pk=draft.pk)
        start.wait(timeout=20)
        try:
            transitions.move(mine, S.PUSHING)
            results.append("won")
        except LostRace:
            results.append("lost")
        finally:
            connections.close_all()

    threads = [Thread(target=move) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(results) == ["lost"] * 7 + ["won"]


@pytest.mark.django_db
def test_the_database_itself_refuses_an_unknown_status():
    draft = factories.draft(factories.org(), lines=0)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE orders_draftorder SET status = 'LOST'")

    draft.refresh_from_db()
    assert draft.status == S.APPROVED
