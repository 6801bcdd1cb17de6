"""A transport with a bad line and a full disk in front of it: what it does, the server really does, up to a point."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from erp_connectors.faults import CONNECTION_LOST, DISK_FULL, Fault
from erp_connectors.port_types import Entry, Guarantee, Move, PresentedKeys, ProbeStep, Upload
from erp_connectors.transports.base import (
    Contents,
    Outcomes,
    Presences,
    RenewedCredentials,
    ServerLimits,
    Transport,
)
from orderflow.messages import Message

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


@dataclass(slots=True)
class FaultPlan:
    """Shared by all transports of a day. ``lost``: share of operations; ``disk_full``: stagings that still fail."""

    lost: float
    disk_full: int
    rng: random.Random
    breaks: int = 0
    refusals: int = 0


class FaultInjectingTransport(Transport):
    def __init__(self, inner: Transport, fault_plan: FaultPlan) -> None:
        self._inner = inner
        self._fault_plan = fault_plan
        self._broken = False

    def open_steps(self) -> Iterator[ProbeStep]:
        self._broken = False
        yield from self._inner.open_steps()

    def resume(self) -> bool:
        return not self._broken and self._inner.resume()

    def close(self) -> None:
        self._inner.close()

    def destination(self, folder: str) -> str:
        return self._inner.destination(folder)

    def server_key(self) -> str:
        return self._inner.server_key()

    def renewed(self) -> RenewedCredentials:
        return self._inner.renewed()

    def planned_steps(self) -> Sequence[tuple[str, str]]:
        return self._inner.planned_steps()

    def presented_keys(self, field: str = "") -> PresentedKeys:
        return self._inner.presented_keys(field)

    def extensions(self) -> Sequence[str]:
        return self._inner.extensions()

    def remarks(self) -> Sequence[Message]:
        return self._inner.remarks()

    def respect(self, limits: ServerLimits) -> None:
        self._inner.respect(limits)

    def limits(self) -> ServerLimits:
        return self._inner.limits()

    def expect(self, files: int) -> None:
        self._inner.expect(files)

    def publish_until(self, moment: float) -> None:
        self._inner.publish_until(moment)

    def guarantee(self, *, atomic_write: bool) -> Guarantee:
        return self._inner.guarantee(atomic_write=atomic_write)

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        if self._fault_plan.disk_full and uploads:
            self._fault_plan.disk_full -= 1
            self._fault_plan.refusals += 1
            # As a server does: the first half of the first file is there.
            first = uploads[0]
            self._inner.stage([Upload(first.path, first.data[: len(first.data) // 2])])
            return [Fault(DISK_FULL, path=upload.path) for upload in uploads]
        return self._cut(uploads, self._inner.stage)

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        return self._cut(moves, self._inner.publish)

    def _exists(self, paths: Sequence[str]) -> Presences:
        return self._cut(paths, self._inner.exists)

    def _list(self, folder: str) -> Iterator[Entry]:
        if self._breaks():
            raise Fault(CONNECTION_LOST, path=folder)
        yield from self._inner.list(folder)

    def _read(self, paths: Sequence[str], *, max_bytes: int) -> Contents:
        return self._cut(paths, lambda some: self._inner.read(some, max_bytes=max_bytes))

    def _move(self, moves: Sequence[Move]) -> Outcomes:
        return self._cut(moves, self._inner.move)

    def _remove(self, paths: Sequence[str]) -> Presences:
        return self._cut(paths, self._inner.remove)

    def _make_folder(self, path: str) -> None:
        self._inner.make_folder(path)

    def _cut(
        self, items: Sequence[ItemT], act: Callable[[Sequence[ItemT]], list[AnswerT | Fault]]
    ) -> list[AnswerT | Fault]:
        """The server does some of it, the last without our hearing of it; of the rest it knows nothing."""
        if self._broken:
            return [Fault(CONNECTION_LOST) for _ in items]
        if not self._breaks():
            return act(items)
        done = self._fault_plan.rng.randint(0, len(items))
        heard = act(items[:done])[: max(0, done - 1)] if done else []
        return [*heard, *(Fault(CONNECTION_LOST) for _ in items[len(heard) :])]

    def _breaks(self) -> bool:
        if self._fault_plan.rng.random() < self._fault_plan.lost:
            self._broken = True
            self._fault_plan.breaks += 1
        return self._broken
