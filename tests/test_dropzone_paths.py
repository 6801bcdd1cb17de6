from datetime import UTC, datetime, timedelta, timezone

import pytest

from erp_connectors.dropzone_paths import (
    TemporaryName,
    folder_of,
    is_absolute,
    is_old_probe,
    is_temporary,
    is_within,
    join,
    local_folder,
    name_of,
    normal_folder,
    numbered_name,
    probe_name,
    read_temporary,
    temporary,
    unnumbered_name,
    withdrawn,
)

NAME = "sales_order_550e8400_20260101_000000_00000011.json"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("/in", "/in"),
        ("/in/", "/in"),
        ("/in//", "/in"),
        ("/", "/"),
        ("//", "/"),
        ("/a/b/", "/a/b"),
        ("/a//b/.", "/a/b"),
        # On a server, this may be another folder than /in.
        ("//in", "//in"),
    ],
)
def test_a_normal_folder_is_written_in_one_way(written, normal):
    assert normal_folder(written) == normal == normal_folder(normal)


@pytest.mark.parametrize(
    ("written", "normal"), [("//in", "/in"), ("///in//", "/in"), ("//", "/"), ("/a/./b", "/a/b")]
)
def test_a_folder_on_this_host_begins_with_one_slash(written, normal):
    assert local_folder(written) == normal == local_folder(normal)


@pytest.mark.parametrize("folder", ["/", "/in", "/in/deeper"])
def test_what_is_joined_can_be_taken_apart(folder):
    path = join(folder, "x.json")

    assert (folder_of(path), name_of(path)) == (folder, "x.json")
    assert is_within(path, folder)
    assert join(folder, "processed", "x.json") == join(join(folder, "processed"), "x.json")
    assert "//" not in path


def test_a_neighbour_whose_name_begins_alike_is_not_within():
    assert is_within("/in", "/in")
    assert is_within("/in", "/")
    assert not is_within("/inbox/x", "/in")
    assert not is_within("/", "/in")


def test_absolute_paths_do_not_climb():
    assert all(map(is_absolute, ["/", "/in", "/in/..x", "/in/x..json"]))
    assert not any(map(is_absolute, ["", "in", "./in", "/in/../etc", "/..", "/in\0"]))


def test_each_attempt_has_a_temporary_name_and_so_has_its_withdrawal():
    first, tenth = temporary(f"/in/{NAME}", 1), temporary(f"/in/{NAME}", 10)
    paths = [first, tenth, withdrawn(first), withdrawn(tenth)]

    assert paths[0] == f"/in/{NAME}.1.tmp"
    assert paths[3] == f"/in/{NAME}.10.withdrawn.tmp"
    assert all(map(is_temporary, paths))
    assert [read_temporary(name_of(path)) for path in paths] == [
        TemporaryName(NAME, attempt) for attempt in (1, 10, 1, 10)
    ]


@pytest.mark.parametrize("name", [NAME, f"{NAME}.tmp", f"{NAME}.0.tmp", f"{NAME}.1.tmp\n", ".1.tmp", ""])
def test_no_other_name_is_a_temporary_one(name):
    assert read_temporary(name) is None


def test_a_file_that_was_written_in_place_can_be_withdrawn():
    assert withdrawn(f"/in/{NAME}") == f"/in/{NAME}.withdrawn.tmp"


def test_a_probe_is_old_after_an_hour_in_whatever_zone_the_clock_is():
    written = NOW.astimezone(timezone(timedelta(hours=5)))
    name = probe_name("written", now=written)

    assert is_temporary(name)
    assert not is_old_probe(name, now=NOW + timedelta(minutes=59))
    assert is_old_probe(name, now=NOW + timedelta(minutes=61))


@pytest.mark.parametrize(
    "name", ["test_connection_20261301_000000_000000_x.tmp", "test_connection_notes.tmp", NAME]
)
def test_a_name_without_a_time_is_no_probe(name):
    assert not is_old_probe(name, now=NOW)


def test_a_number_can_be_taken_off_again():
    assert numbered_name("ack_x.json", 12) == "ack_x.json.12"
    assert unnumbered_name("ack_x.json.12") == unnumbered_name("ack_x.json") == "ack_x.json"
