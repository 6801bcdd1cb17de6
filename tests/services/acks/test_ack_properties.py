"""Any ack files, for exports in any standing, in any order, over any polls, with crashes: one state, no file lost."""

from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from erp_connectors import crashpoints
from erp_connectors.services.acks.poll import poll
from tests.hypothesis_profiles import examples
from tests.services.answering import POINTS, STANDINGS, exchange, sets_of_files
from tests.services.conftest import Killed


@pytest.fixture
def folder(db: None, tmp_path: Path, settings: object) -> Path:
    settings.DROPZONE_ROOTS = [str(tmp_path)]  # type: ignore[attr-defined]
    settings.ACK_UNFINISHED_SECONDS = 0  # type: ignore[attr-defined]
    settings.ACK_BATCH_SIZE = 3  # type: ignore[attr-defined]
    return tmp_path


@settings(max_examples=examples(0.25))
@given(
    written=sets_of_files,
    standings=st.tuples(st.sampled_from(STANDINGS), st.sampled_from(STANDINGS)),
    data=st.data(),
)
def test_the_same_files_end_in_the_same_state(folder, written, standings, data):
    at_once, bit_by_bit = exchange(folder, standings), exchange(folder, standings)
    for file in written:
        at_once.arrive(file)
    at_once.settle()

    for file in data.draw(st.permutations(written)):
        bit_by_bit.arrive(file)
        for point in data.draw(st.lists(st.sampled_from(("", *POINTS)), max_size=2)):
            note(f"after {file.name}: poll {point}")
            crash_at(point, bit_by_bit.connection.pk)
    bit_by_bit.settle()

    assert bit_by_bit.state() == at_once.state()
    for one in (at_once, bit_by_bit):
        one.require_every_file_once(written)


def crash_at(point, connection_id):
    def listener(reached):
        if reached == point:
            crashpoints.listener = None
            raise Killed

    crashpoints.listener = listener
    try:
        poll(connection_id)
    except Killed:
        pass
    finally:
        crashpoints.listener = None
