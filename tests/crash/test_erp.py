"""The watcher that the matrix trusts: what it must not miss."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.erp import Erp


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Erp]]:
    erps: list[Erp] = []

    def start(*, takes: bool) -> Erp:
        erps.append(Erp(tmp_path, takes=takes))
        return erps[-1]

    yield start
    for erp in erps:
        erp.close()


def publish(folder: Path, body: bytes) -> None:
    (folder / "a.json.1.tmp").write_bytes(body)
    (folder / "a.json.1.tmp").rename(folder / "a.json")


def test_a_file_renamed_into_place_appears_once_and_whole(tmp_path: Path, watch: Callable[..., Erp]) -> None:
    erp = watch(takes=False)
    publish(tmp_path, b"{}")
    erp.settle()

    assert (erp.seen.appeared, dict(erp.seen.contents), erp.seen.unfinished) == (
        {"a.json": 1}, {"a.json": {b"{}"}}, set()
    )  # fmt: skip


@pytest.mark.parametrize("takes", [False, True])
def test_a_file_published_again_is_counted_twice(
    tmp_path: Path, watch: Callable[..., Erp], takes: bool
) -> None:
    erp = watch(takes=takes)
    for _ in range(2):
        publish(tmp_path, b"{}")
        erp.settle()

    erp.close()
    assert erp.seen.appeared["a.json"] == 2


def test_a_file_written_under_its_final_name_is_seen_unfinished(
    tmp_path: Path, watch: Callable[..., Erp]
) -> None:
    erp = watch(takes=False)
    (tmp_path / "a.json").write_bytes(b"{}")
    erp.settle()

    assert erp.seen.unfinished == {"a.json"}
