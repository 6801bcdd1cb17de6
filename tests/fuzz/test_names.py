"""File names: those that servers list, and those that we make."""

import os
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from erp_connectors.archive import storage_key
from erp_connectors.connectors.dropzone_json_v1.connector import DropzoneJsonV1
from erp_connectors.connectors.json_acks.ack_names import acknowledges
from erp_connectors.dropzone_paths import TemporaryName, numbered_name, read_temporary, unnumbered_name
from erp_connectors.port_types import Entry
from erp_connectors.services.acks.file_index import LONGEST, stored_name
from erp_connectors.services.exports.paths import temporary_path, withdrawn_path
from erp_connectors.transports.front_door import MAX_NAME, plain_names
from erp_connectors.transports.memory import MemoryDropzone, MemoryTransport
from tests.fuzz.exploring import explore

pytestmark = pytest.mark.deep

# What a server's bytes become, be they UTF-8 or not; the odd ones first.
ODD = [
    "..",
    ".",
    "",
    "a/b",
    "a\0b",
    "\u202egpj.exe",
    "a\nb",
    "%2e%2e",
    "~",
    "ä" * 200,
    "x" * 256,
    "\udcff",
    "CON",
    "a " * 60,
]
NAMES = (
    st.sampled_from(ODD)
    | st.binary(max_size=270).map(os.fsdecode)
    | st.text(max_size=60).map(lambda text: os.fsdecode(text.encode("utf-8", "surrogatepass")))
)
# Of years with four digits.
MOMENTS = st.integers(0, 253_402_300_799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
TOKENS = st.from_regex("[0-9a-f]{8}", fullmatch=True)
CONNECTOR = DropzoneJsonV1()
# What was made of another name; somebody may have a file that is called so.
MADE = re.compile(r".*~[0-9a-f]{16}")


def is_one_name(name: str) -> bool:
    return (
        PurePosixPath(f"/in/{name}").parts == ("/", "in", name)
        and name not in (".", "..")
        and "\0" not in name
    )


def test_of_listed_names_only_those_of_files_are_left_whatever_a_server_lists():
    transport = MemoryTransport(MemoryDropzone())

    def check(listed):
        entries = [Entry(name, 1, 1, is_file=True) for name in listed]
        left = list(plain_names(transport, lambda: entries))

        assert [entry for entry in entries if entry in left] == left
        assert all(is_one_name(entry.name) and len(entry.name) <= MAX_NAME for entry in left)
        assert list(plain_names(transport, lambda: left)) == left

    explore(check, st.lists(NAMES, max_size=6))


def test_a_name_is_filed_under_one_that_every_system_can_hold_and_stays_that():
    def check(name):
        filed = stored_name(name)

        assert is_one_name(filed) or not is_one_name(name)
        assert filed.isprintable()
        assert len(os.fsencode(f"{filed}.{10**12}.reason.txt")) <= 255
        assert stored_name(filed) == filed
        assert unnumbered_name(numbered_name(filed, 7)) == filed

    explore(check, NAMES.filter(bool))


def test_two_names_are_filed_under_two():
    """But for one that is called what another's was made into: they have their turn one after the other."""

    def check(one, begin, end):
        other = f"{one[:begin]}{end}{one[begin:]}"
        if one != other and not MADE.fullmatch(one) and not MADE.fullmatch(other):
            assert stored_name(one) != stored_name(other)
        long = "x" * LONGEST
        assert stored_name(long + one + "1") != stored_name(long + one + "2")

    explore(
        check, NAMES, st.integers(0, 20), st.sampled_from(["", " ", "\n", "\udc80", "\u200b", "%0A"]), share=3
    )


def test_an_order_file_is_named_by_its_order_its_second_and_its_token_alone():
    def check(first, second):
        names = [CONNECTOR.filename(pk, at=at, token=token) for pk, at, token in (first, second)]
        parts = [(pk.hex[:8], at.replace(microsecond=0), token) for pk, at, token in (first, second)]

        assert (names[0] == names[1]) == (parts[0] == parts[1])
        for name in names:
            assert is_one_name(name)
            assert name.isascii()
            assert CONNECTOR.names_export(name)
            assert acknowledges(f"ack_{name}") == acknowledges(f"error_{name}.json") == name
            assert acknowledges(name) is None
            assert stored_name(name) == name

    made = st.tuples(st.uuids(), MOMENTS, TOKENS)
    explore(check, made, made | st.tuples(st.just(UUID(int=1)), MOMENTS, TOKENS))


def test_a_temporary_file_tells_its_order_file_and_attempt_and_is_never_taken_for_either():
    def check(pk, at, token, attempt, other):
        dropzone: Any = SimpleNamespace(export_path="/in", atomic_write=True)
        filename = CONNECTOR.filename(pk, at=at, token=token)
        paths = []
        for number in (attempt, other):
            export: Any = SimpleNamespace(filename=filename, attempts=number)
            staged = export.staged_path = temporary_path(dropzone, export)
            for path in (staged, withdrawn_path(export)):
                name = path.removeprefix("/in/")
                assert read_temporary(name) == TemporaryName(filename, number)
                assert is_one_name(name)
                assert not CONNECTOR.names_export(name)
                assert not acknowledges(name)
                paths.append(path)
        assert len(set(paths)) == (2 if attempt == other else 4)

    numbers = st.integers(1, 10**6)
    explore(check, st.uuids(), MOMENTS, TOKENS, numbers, numbers)


def test_a_servers_name_is_no_temporary_file_of_an_order_unless_it_is_called_so():
    def check(name):
        temporary = read_temporary(name)
        if temporary and CONNECTOR.names_export(temporary.filename):
            assert re.fullmatch(
                r"sales_order_[0-9a-f]{8}_[0-9_]{15}_[0-9a-f]{8}\.json\.[1-9][0-9]*(\.withdrawn)?\.tmp", name
            )

    real = "sales_order_550e8400_20260101_000000_00000011.json"
    mixed = st.tuples(NAMES, st.sampled_from([".1.tmp", ".0.tmp", ".1.withdrawn.tmp", ".\u0661.tmp", "\n"]))
    explore(check, NAMES | mixed.map("".join) | mixed.map(lambda pair: real + pair[1] + pair[0]))


def test_a_copy_lies_in_its_orgs_folder_of_the_archive():
    def check(one, other, pk, at, token):
        filename = CONNECTOR.filename(pk, at=at, token=token)
        key = storage_key(one, filename)

        assert PurePosixPath(key).parts == ("exports", str(one), filename)
        assert (key == storage_key(other, filename)) == (one == other)

    explore(check, st.uuids(), st.uuids(), st.uuids(), MOMENTS, TOKENS)
