"""The transport that ships for tests keeps the port's promises, too."""

import pytest
import structlog

from erp_connectors.faults import DISK_FULL, Fault
from erp_connectors.port_types import Entry, Move, Upload
from erp_connectors.transports.memory import MemoryDropzone, MemoryTransport


@pytest.fixture
def zone():
    return MemoryDropzone(folders={"/", "/in", "/in/done"})


@pytest.fixture
def transport(zone):
    with MemoryTransport(zone) as opened:
        yield opened


def codes(outcomes):
    return [outcome.code if isinstance(outcome, Fault) else outcome for outcome in outcomes]


def test_a_file_is_staged_published_listed_read_moved_and_removed(zone, transport):
    assert transport.stage([Upload("/in/a.tmp", b"order", 0o640), Upload("/no/b.tmp", b"")])[0] is None
    assert transport.publish([Move("/in/a.tmp", "/in/a.json")]) == [None]
    assert [(e.name, e.size, e.is_file) for e in transport.list("/in")] == [
        ("a.json", 5, True),
        ("done", 0, False),
    ]
    assert transport.read(["/in/a.json"], max_bytes=5) == [b"order"]
    assert transport.move([Move("/in/a.json", "/in/done/a.json")]) == [None]
    assert transport.remove(["/in/done/a.json", "/in/done/a.json"]) == [True, False]
    assert zone.files == {}


def test_absent_taken_and_missing_are_told_apart(zone, transport):
    zone.write("/in/a", b"a")
    zone.write("/in/b", b"b")

    assert codes(
        transport.publish([Move("/in/x", "/in/y"), Move("/in/a", "/in/b"), Move("/no/x", "/in/y")])
    ) == [
        "NOT_FOUND",
        "NAME_TAKEN",
        "FOLDER_MISSING",
    ]
    assert codes(transport.exists(["/in/a", "/in/x", "/no/x"])) == [True, False, "FOLDER_MISSING"]
    assert codes(transport.read(["/in/a", "/in/done", "/in/x"], max_bytes=0)) == [
        "TOO_LARGE",
        "NOT_A_FILE",
        "NOT_FOUND",
    ]


def test_it_fails_where_it_is_told_to(zone, transport):
    zone.failing["stage"] = Fault(DISK_FULL)

    assert codes(transport.stage([Upload("/in/a", b""), Upload("/in/b", b"")])) == ["DISK_FULL"] * 2
    assert zone.files == {}


def test_a_folder_is_made_below_an_existing_one_only(zone, transport):
    transport.make_folder("/in/error")
    zone.write("/in/file", b"")

    for path in ("/no/deep", "/in/file"):
        with pytest.raises(Fault):
            transport.make_folder(path)
    assert "/in/error" in zone.folders


class _Hostile(MemoryTransport):
    """Lists what no file system lets a file be called, and what a server can say all the same."""

    names = ("", ".", "..", "/etc/passwd", "ack_/../../x.json", "ack_\0.json", "ack_a\0", "a/")

    def _list(self, folder):
        yield from (Entry(name, 1, 1, is_file=True) for name in self.names)
        yield from super()._list(folder)


def test_names_that_lead_elsewhere_are_left_out_and_logged_in_plain_letters(zone):
    zone.write("/in/ack_good.json", b"{}")
    hostile = _Hostile(zone)

    with structlog.testing.capture_logs() as logged:
        assert [entry.name for entry in hostile.list("/in")] == ["ack_good.json", "done"]

    told = [line["name"] for line in logged if line["event"] == "list.name_refused"]
    assert len(told) == len(_Hostile.names)
    assert all(name.isascii() and name.isprintable() for name in told)
