from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from erp_connectors import crashpoints
from erp_connectors.models import ERPConnection
from orderflow.tenancy.models import Org
from tests import factories


@dataclass
class Site:
    """An org whose ERP reads one folder and answers in another."""

    org: Org
    connection: ERPConnection
    inbox: Path
    acks: Path

    def published(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.inbox.iterdir() if path.suffix == ".json"}

    def leftovers(self) -> list[str]:
        return [path.name for path in self.inbox.iterdir() if path.suffix == ".tmp"]

    def answer(self, name: str, body: bytes) -> Path:
        path = self.acks / name
        path.write_bytes(body)
        return path


@pytest.fixture
def make_site(db: None, tmp_path: Path, settings: Any) -> Callable[..., Site]:
    settings.DROPZONE_ROOTS = [str(tmp_path)]

    def make(**config: Any) -> Site:
        org = factories.org()
        inbox, acks = tmp_path / org.slug / "in", tmp_path / org.slug / "ack"
        inbox.mkdir(parents=True)
        acks.mkdir()
        values = {"mode": "filesystem", "export_path": str(inbox), "ack_path": str(acks), **config}
        return Site(org, factories.connection(org, values), inbox, acks)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


class Killed(BaseException):
    """What a test raises where it wants the worker to be gone."""


@pytest.fixture
def at_crashpoint() -> Iterator[Callable[[str, Callable[[], None]], None]]:
    """Run something once when a crash point is reached."""

    def arrange(name: str, act: Callable[[], None]) -> None:
        def listener(reached: str) -> None:
            if reached == name:
                crashpoints.listener = None
                act()

        crashpoints.listener = listener

    yield arrange
    crashpoints.listener = None


def die() -> None:
    raise Killed
