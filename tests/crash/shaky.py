"""A folder behind a link that a test cuts: a call is lost on its way there, or its answer on the way back."""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from erp_connectors.faults import CONNECTION_LOST, Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import Outcomes
from erp_connectors.transports.filesystem import FilesystemTransport

FileT = TypeVar("FileT")


class ShakyTransport(FilesystemTransport):
    """``lost``: for ``stage`` or ``publish``, whether the link dies before or after the work was done."""

    lost: ClassVar[dict[str, str]] = {}

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        return _over_the_link("stage", uploads, super()._stage)

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        return _over_the_link("publish", moves, super()._publish)


def _over_the_link(
    name: str, files: Sequence[FileT], action: Callable[[Sequence[FileT]], Outcomes]
) -> Outcomes:
    lost = ShakyTransport.lost.get(name)
    outcomes: Outcomes = [] if lost == "before" else action(files)
    return [Fault(CONNECTION_LOST)] * len(files) if lost else outcomes
