from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.models import ERPExport
from erp_connectors.port_types import Ack
from erp_connectors.services.acks.precedence import rank
from erp_connectors.services.exports.answer import AnswerToApply

EXPORT = ERPExport()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def accepted(number, minute=None, file="ack_x.json"):
    at = None if minute is None else NOON + timedelta(minutes=minute)
    return AnswerToApply(EXPORT, Ack(True, number, None, None, at), file)


def refused(message="no", minute=None, file="error_x.json"):
    at = None if minute is None else NOON + timedelta(minutes=minute)
    return AnswerToApply(EXPORT, Ack(False, None, "CODE", message, at), file)


def test_an_acceptance_counts_before_a_refusal():
    found = rank([refused(), accepted("SO-1")])

    assert (found.preferred, found.conflict) == (accepted("SO-1"), refused())


def test_a_refusal_that_was_processed_before_the_acceptance_was_corrected_by_hand():
    assert rank([accepted("SO-1", 5), refused(minute=1)]).conflict is None
    assert rank([accepted("SO-1", 5), refused(minute=9)]).conflict == refused(minute=9)


def test_of_two_numbers_the_one_processed_first_counts():
    found = rank([accepted("SO-2", 9), accepted("SO-1", 5), accepted("SO-3")])

    assert (found.preferred, found.conflict) == (accepted("SO-1", 5), accepted("SO-2", 9))


def test_without_times_the_file_name_decides():
    one, other = accepted("SO-2", file="ack_x.json"), accepted("SO-1", file="ack_x.json.json")

    assert rank([other, one]).preferred == one


any_answer = st.one_of(
    st.builds(
        accepted, st.sampled_from("ABC"), st.none() | st.integers(0, 3), st.sampled_from(["ack_x", "ACK_x"])
    ),
    st.builds(
        refused, st.sampled_from("ab"), st.none() | st.integers(0, 3), st.sampled_from(["error_x", "ERROR_x"])
    ),
)


@given(st.lists(any_answer, min_size=1, max_size=6), st.randoms())
def test_the_order_they_came_in_changes_nothing(answers, random):
    shuffled = list(answers)
    random.shuffle(shuffled)

    assert rank(shuffled) == rank(answers)


@given(st.lists(any_answer, min_size=1, max_size=5))
def test_reading_one_again_changes_nothing(answers):
    assert rank([*answers, answers[0]]) == rank(answers)
