"""Every promise of `transports/base.py`, as a suite for one transport."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from erp_connectors.faults import Fault
from erp_connectors.port_types import GuaranteeLevel, Move, Upload
from erp_connectors.testing.secret_fields import require_secrets_marked
from erp_connectors.transports.base import Transport

NAMES = ["plain.json", "umlaut ü ß €.json", "quote ' \".json", "x" * 200, "-rf", " space "]


@dataclass
class Place:
    """An empty dropzone: ``prefix`` is its path as the transport says it, ``root`` the same folder on this machine.

    ``has_folders`` is False if folders are prefixes of names, so that none is ever missing.
    """

    connect: Callable[[], Transport]
    root: Path
    prefix: str
    keeps_permission_bits: bool = True
    has_folders: bool = True

    def path(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def here(self, name: str) -> Path:
        return self.root / name


def require_folders(place: Place) -> None:
    if not place.has_folders:
        pytest.skip("folders are prefixes of names here")


def code(outcome: object) -> str:
    return outcome.code if isinstance(outcome, Fault) else repr(outcome)


class TransportSuite:
    """Subclass it as ``TestMine`` with the fixtures `place` (a `Place`) and `transport` (opened by its ``connect``)."""

    def test_what_sounds_secret_is_marked_secret(self, place: Place) -> None:
        require_secrets_marked(place.connect().fields())

    def test_each_key_is_described(self, place: Place) -> None:
        names = [field.name for field in place.connect().fields()]

        assert len(names) == len(set(names))
        assert all(field.label and field.help for field in place.connect().fields())

    def test_opening_is_told_step_by_step_and_only_once(self, place: Place) -> None:
        transport = place.connect()
        try:
            steps = list(transport.open_steps())
            assert steps
            assert all(step.ok and step.found for step in steps)
            transport.open()
        finally:
            transport.close()
            transport.close()

    def test_it_opens_again_after_being_closed(self, place: Place) -> None:
        transport = place.connect()
        for _ in range(2):
            with transport:
                assert list(transport.list(place.prefix)) == []

    @pytest.mark.parametrize("size", [0, 1, 31_999, 32_000, 32_001, 5_000_000])
    def test_a_file_arrives_whole(self, place: Place, transport: Transport, size: int) -> None:
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

        assert transport.stage([Upload(place.path("a.tmp"), data)]) == [None]
        assert place.here("a.tmp").read_bytes() == data

    def test_staging_again_replaces_what_an_earlier_attempt_left(
        self, place: Place, transport: Transport
    ) -> None:
        transport.stage([Upload(place.path("a.tmp"), b"a longer first attempt")])

        assert transport.stage([Upload(place.path("a.tmp"), b"second")]) == [None]
        assert place.here("a.tmp").read_bytes() == b"second"

    def test_many_files_are_answered_in_their_order_and_one_harms_no_other(
        self, place: Place, transport: Transport
    ) -> None:
        uploads = [Upload(place.path(f"{n}.tmp"), b"%d" % n) for n in range(300)]
        uploads[7] = Upload(place.path("nowhere/7.tmp"), b"7")

        outcomes = transport.stage(uploads)

        assert code(outcomes[7]) == ("FOLDER_MISSING" if place.has_folders else "None")
        assert [outcome for n, outcome in enumerate(outcomes) if n != 7] == [None] * 299
        assert all(place.here(f"{n}.tmp").read_bytes() == b"%d" % n for n in range(300) if n != 7)

    def test_an_empty_batch_is_no_work(self, transport: Transport) -> None:
        assert transport.stage([]) == transport.publish([]) == transport.remove([]) == []

    def test_permission_bits(self, place: Place, transport: Transport) -> None:
        assert transport.stage([Upload(place.path("a"), b"x", mode=0o640)]) == [None]
        assert not place.keeps_permission_bits or place.here("a").stat().st_mode & 0o777 == 0o640

    def test_publishing_renames(self, place: Place, transport: Transport) -> None:
        transport.stage([Upload(place.path("a.tmp"), b"order")])

        assert transport.publish([Move(place.path("a.tmp"), place.path("a.json"))]) == [None]
        assert place.here("a.json").read_bytes() == b"order"
        assert not place.here("a.tmp").exists()

    def test_publishing_what_is_gone_says_not_found(self, place: Place, transport: Transport) -> None:
        transport.stage([Upload(place.path("b.tmp"), b"order")])
        moves = [
            Move(place.path("a.tmp"), place.path("a.json")),
            Move(place.path("b.tmp"), place.path("b.json")),
        ]

        assert [code(outcome) for outcome in transport.publish(moves)] == ["NOT_FOUND", "None"]

    @pytest.mark.parametrize("atomic_write", [True, False])
    def test_the_guarantee_has_a_reason(self, transport: Transport, atomic_write: bool) -> None:
        guarantee = transport.guarantee(atomic_write=atomic_write)

        assert guarantee.level in GuaranteeLevel
        assert str(guarantee.reason).endswith(".")

    def test_exactly_once_needs_a_receipt(self, place: Place, transport: Transport) -> None:
        move = Move(place.path("a.tmp"), place.path("a.json"))
        transport.stage([Upload(move.source, b"order")])
        outcomes = [transport.publish([move])]
        place.here("a.json").unlink()  # by the ERP

        outcomes.append(transport.publish([move]))

        exactly_once = transport.guarantee(atomic_write=True).level is GuaranteeLevel.EXACTLY_ONCE
        assert not exactly_once or [code(outcome) for (outcome,) in outcomes] == ["None", "NOT_FOUND"]

    def test_a_missing_folder_is_never_taken_for_a_missing_file(
        self, place: Place, transport: Transport
    ) -> None:
        require_folders(place)
        gone, elsewhere = place.path("gone/a.tmp"), place.path("gone/a.json")

        assert code(transport.publish([Move(gone, elsewhere)])[0]) == "FOLDER_MISSING"
        assert code(transport.move([Move(gone, elsewhere)])[0]) == "FOLDER_MISSING"
        assert code(transport.exists([gone])[0]) == "FOLDER_MISSING"
        assert code(transport.remove([gone])[0]) == "FOLDER_MISSING"
        assert code(transport.read([gone], max_bytes=10)[0]) == "FOLDER_MISSING"
        with pytest.raises(Fault) as caught:
            list(transport.list(place.path("gone")))
        assert caught.value.code == "FOLDER_MISSING"

    def test_a_missing_target_folder_is_told(self, place: Place, transport: Transport) -> None:
        require_folders(place)
        place.here("a").write_bytes(b"x")

        (outcome,) = transport.move([Move(place.path("a"), place.path("gone/a"))])

        assert code(outcome) == "FOLDER_MISSING"
        assert place.here("a").exists()

    def test_existence(self, place: Place, transport: Transport) -> None:
        place.here("a").write_bytes(b"x")

        assert transport.exists([place.path("a"), place.path("b")]) == [True, False]

    def test_a_move_never_replaces_a_file(self, place: Place, transport: Transport) -> None:
        place.here("a").write_bytes(b"new")
        place.here("taken").write_bytes(b"old")
        place.here("b").write_bytes(b"b")
        moves = [Move(place.path("a"), place.path("taken")), Move(place.path("b"), place.path("free"))]

        assert [code(outcome) for outcome in transport.move(moves)] == ["NAME_TAKEN", "None"]
        assert (place.here("a").read_bytes(), place.here("taken").read_bytes()) == (b"new", b"old")
        assert place.here("free").read_bytes() == b"b"

    def test_moving_what_is_gone_says_not_found(self, place: Place, transport: Transport) -> None:
        assert code(transport.move([Move(place.path("a"), place.path("b"))])[0]) == "NOT_FOUND"

    def test_removing_tells_whether_it_was_there(self, place: Place, transport: Transport) -> None:
        place.here("a").write_bytes(b"x")

        assert transport.remove([place.path("a"), place.path("b")]) == [True, False]
        assert not place.here("a").exists()

    @pytest.mark.parametrize(
        ("size", "expected"), [(0, "whole"), (100, "whole"), (101, "TOO_LARGE"), (90_000, "TOO_LARGE")]
    )
    def test_reading_is_capped(self, place: Place, transport: Transport, size: int, expected: str) -> None:
        place.here("a").write_bytes(b"x" * size)

        (content,) = transport.read([place.path("a")], max_bytes=100)

        assert (content == b"x" * size) if expected == "whole" else (code(content) == expected)

    def test_a_large_file_is_read_whole(self, place: Place, transport: Transport) -> None:
        data = bytes(range(256)) * 1000
        place.here("a").write_bytes(data)

        assert transport.read([place.path("a"), place.path("b")], max_bytes=1 << 20)[0] == data

    def test_a_folder_is_not_read_as_a_file(self, place: Place, transport: Transport) -> None:
        require_folders(place)
        place.here("folder").mkdir()

        assert code(transport.read([place.path("folder")], max_bytes=10)[0]) == "NOT_A_FILE"

    def test_listing_tells_names_sizes_and_what_is_a_file(self, place: Place, transport: Transport) -> None:
        for n, name in enumerate(NAMES):
            place.here(name).write_bytes(b"x" * n)
        place.here("folder").mkdir()

        entries = {entry.name: entry for entry in transport.list(place.prefix)}

        assert {name: entry.size for name, entry in entries.items() if entry.is_file} == {
            n: i for i, n in enumerate(NAMES)
        }
        assert not entries["folder"].is_file
        assert all(entry.mtime > 0 for entry in entries.values())

    def test_a_link_is_not_a_file(self, place: Place, transport: Transport) -> None:
        place.here("target").write_bytes(b"secret")
        place.here("link").symlink_to(place.here("target"))

        entries = {entry.name: entry for entry in transport.list(place.prefix)}

        assert "link" not in entries or not entries["link"].is_file

    def test_a_thousand_names_are_listed(self, place: Place, transport: Transport) -> None:
        for n in range(1000):
            place.here(f"{n:04}").touch()

        assert sorted(entry.name for entry in transport.list(place.prefix)) == [
            f"{n:04}" for n in range(1000)
        ]

    def test_making_a_folder_twice_is_fine(self, place: Place, transport: Transport) -> None:
        require_folders(place)
        for _ in range(2):
            transport.make_folder(place.path("processed"))
        assert place.here("processed").is_dir()

    def test_a_folder_cannot_be_made_where_its_parent_is_missing_or_its_name_taken(
        self, place: Place, transport: Transport
    ) -> None:
        require_folders(place)
        place.here("file").write_bytes(b"")
        for name in ("gone/deep", "file"):
            with pytest.raises(Fault):
                transport.make_folder(place.path(name))

    @pytest.mark.parametrize("path", ["relative", "/a/../b", "/a\0b"])
    def test_only_plain_absolute_paths_are_taken(self, transport: Transport, path: str) -> None:
        with pytest.raises(ValueError, match="absolute"):
            transport.exists([path])

    def test_hundreds_of_files_in_one_batch(self, place: Place, transport: Transport) -> None:
        names = [f"{n:03}" for n in range(200)]

        staged = transport.stage([Upload(place.path(f"{name}.tmp"), name.encode() * 100) for name in names])
        published = transport.publish([Move(place.path(f"{name}.tmp"), place.path(name)) for name in names])
        contents = transport.read([place.path(name) for name in names], max_bytes=1000)

        assert (staged, published) == ([None] * 200, [None] * 200)
        assert contents == [name.encode() * 100 for name in names]
