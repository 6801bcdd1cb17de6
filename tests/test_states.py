"""The ack decision table, every cell, as a person would read it."""

from itertools import product

from erp_connectors.states import (
    ACK_DECISIONS,
    EXPORT_MOVES,
    AckableState,
    Answer,
    Case,
    Decision,
    ExportStatus,
    decide_ack,
)

ACCEPTED, REFUSED = Answer.ACCEPTED, Answer.REFUSED
S, D = AckableState, Decision

EXPECTED = {
    # state: (accepted, refused, accepted when replaced, refused when replaced)
    S.NOT_STAGED: (D.WAIT, D.WAIT, D.CONFLICT, D.CONFLICT),
    S.STAGED: (D.ACCEPT, D.REFUSE, D.CONFLICT, D.CONFLICT),
    S.SENT: (D.ACCEPT, D.REFUSE, D.CONFLICT, D.CONFLICT),
    S.ACKED: (D.NOTHING, D.CONFLICT, D.NOTHING, D.CONFLICT),
    S.REFUSED: (D.ACCEPT, D.NOTHING, D.CONFLICT, D.NOTHING),
    S.UNSENT: (D.ACCEPT, D.REFUSE, D.CONFLICT, D.CONFLICT),
}


def test_every_answer_has_one_meaning():
    decided = {
        state: tuple(
            decide_ack(Case(state, answer), replaced=replaced, same_order_id=True)
            for replaced in (False, True)
            for answer in (ACCEPTED, REFUSED)
        )
        for state in AckableState
    }

    assert decided == EXPECTED


def test_another_erp_number_for_an_acked_export_is_a_conflict():
    case = Case(AckableState.ACKED, ACCEPTED)

    assert decide_ack(case, replaced=False, same_order_id=False) is Decision.CONFLICT


def test_the_table_is_complete():
    assert set(ACK_DECISIONS) == {Case(*cell) for cell in product(AckableState, Answer)}


def test_only_these_moves_of_an_export_are_legal():
    legal = {(frm.value, to.value) for frm, targets in EXPORT_MOVES.items() for to in targets}

    assert legal == {
        ("PENDING", "SENT"), ("PENDING", "FAILED"), ("SENT", "ACKED"), ("SENT", "FAILED"),
        ("FAILED", "SENT"), ("FAILED", "ACKED"), ("FAILED", "FAILED"),
    }  # fmt: skip
    assert set(EXPORT_MOVES) == set(ExportStatus)
