"""An ERP to try a dropzone with: it takes order files and answers them, from outside, as a real one would.

It knows only the folders and the published file format. What it answers to an order depends on the seed and the
order alone, so a run can be repeated.
"""

import hashlib
import json
import random
import zlib
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from erp_connectors.connectors.dropzone_json_v1 import payload
from erp_connectors.dropzone_paths import join
from erp_connectors.faults import FOLDER_MISSING, NAME_TAKEN, NOT_FOUND, Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import Transport

TAKEN = "taken"
MAX_BYTES = 64 * 1024 * 1024
AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Behaviour of the simulated ERP; rates between 0 and 1, ``delay`` and ``dawdle`` in seconds.

    Malformed: it answers something that no ack file may be. Truncated: it writes the first half of the answer
    under its final name, and the whole only after ``dawdle``. Duplicate: it answers twice, under both names.
    """

    refuse_rate: float = 0.0
    malformed_rate: float = 0.0
    truncate_rate: float = 0.0
    duplicate_rate: float = 0.0
    delay: float = 0.0
    dawdle: float = 1.0
    seed: str = ""
    keep: bool = True


class ErpAction(msgspec.Struct, frozen=True):
    """One thing it did: ``taken``, ``accepted``, ``refused``, ``malformed``, ``truncated``, or ``error``."""

    what: str
    file: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.what:9} {self.file}" + (f"  {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One order file that it took, and what was wrong with it; ``order`` as the file says, else the file's name."""

    file: str
    order: str
    sha256: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class PlannedAck:
    """One ack file to write; bluntly: under its final name from the first byte."""

    due: datetime
    name: str
    body: bytes
    action: ErpAction
    blunt: bool = False


@dataclass(slots=True)
class SimulatedErp:
    """Plays the ERP on one dropzone through an open transport. Call `step` now and then."""

    transport: Transport
    export_path: str
    ack_path: str | None
    behaviour: Behaviour = field(default_factory=Behaviour)
    # Which of the names of order files it leaves to another ERP that reads the same folder.
    leaves: Callable[[Sequence[str]], Container[str]] = field(default=lambda names: ())
    waiting: list[PlannedAck] = field(default_factory=list)
    seen_orders: set[str] = field(default_factory=set)
    complained: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)

    def step(self, now: datetime) -> list[ErpAction]:
        """Take what lies there, write what is due. Raises `Fault` where the dropzone can't be listed."""
        return [*self._take_new(now), *self._write_due(now)]

    def _take_new(self, now: datetime) -> Iterator[ErpAction]:
        listed = {entry.name for entry in self.transport.list(self.export_path) if entry.is_file}
        names = sorted(name for name in listed if _is_order(name))
        left = self.leaves(names)
        names = [name for name in names if name not in left]
        for start in range(0, len(names), AT_ONCE):
            batch = names[start : start + AT_ONCE]
            bodies = self.transport.read([self._path(name) for name in batch], max_bytes=MAX_BYTES)
            marked = [name for name in batch if f"{name}.done" in listed]
            for name, body, taken in zip(batch, bodies, self._take(batch), strict=True):
                fault = body if isinstance(body, Fault) else taken
                if isinstance(body, bytes) and fault is None:
                    yield ErpAction("taken", name, f"{len(body)} bytes")
                    self.waiting += self._answers(name, body, now)
                elif fault and fault.kind is not NOT_FOUND and name not in self.complained:
                    self.complained.add(name)
                    yield ErpAction("error", name, _problem(fault))
            # A marker without its file says nothing to anybody.
            self.transport.remove([self._path(f"{name}.done") for name in marked])

    def _take(self, names: Sequence[str]) -> Sequence[Fault | None]:
        if not self.behaviour.keep:
            removed = self.transport.remove([self._path(name) for name in names])
            return [outcome if isinstance(outcome, Fault) else None for outcome in removed]
        moves = [Move(self._path(name), self._path(f"{TAKEN}/{name}")) for name in names]
        outcomes = self.transport.move(moves)
        if any(outcome and outcome.kind in (FOLDER_MISSING, NOT_FOUND) for outcome in outcomes):
            self.transport.make_folder(self._path(TAKEN))
            outcomes = self.transport.move(moves)
        return outcomes

    def _path(self, name: str) -> str:
        return join(self.export_path, name)

    def _write_due(self, now: datetime) -> Iterator[ErpAction]:
        due = [answer for answer in self.waiting if answer.due <= now]
        self.waiting = [answer for answer in self.waiting if answer.due > now]
        if not self.ack_path:
            return
        for answer in due:
            fault = self._write(answer)
            yield ErpAction("error", answer.name, fault.message) if fault else answer.action

    def _write(self, answer: PlannedAck) -> Fault | None:
        final = join(self.ack_path or "", answer.name)
        if answer.blunt:
            return self.transport.stage([Upload(final, answer.body)])[0]
        # As the guide for ERP programmers asks: whole under another name first, then renamed.
        return (
            self.transport.stage([Upload(f"{final}.tmp", answer.body)])[0]
            or self.transport.publish([Move(f"{final}.tmp", final)])[0]
        )

    def _answers(self, name: str, body: bytes, now: datetime) -> list[PlannedAck]:
        due = now + timedelta(seconds=self.behaviour.delay)
        order, problem = _understand(body)
        identity = str(order.get("draft_order_id", name))
        self.receipts.append(Receipt(name, identity, hashlib.sha256(body).hexdigest(), problem))
        rng = random.Random(f"{self.behaviour.seed}:{identity}")  # noqa: S311  # repeatable, not secret
        if problem is None and rng.random() < self.behaviour.refuse_rate and identity not in self.seen_orders:
            problem = _reason(order, rng)
        # Accepted when sent again, as if the ERP was corrected meanwhile.
        self.seen_orders.add(identity)
        answer = _refusal(name, problem, due) if problem else _acceptance(name, identity, due)
        return list(self._mangled(answer, rng))

    def _mangled(self, answer: PlannedAck, rng: random.Random) -> Iterator[PlannedAck]:
        behaviour, it = self.behaviour, answer.action
        rates = (behaviour.malformed_rate, behaviour.truncate_rate, behaviour.duplicate_rate)
        malformed, truncated, doubled = (rng.random() < rate for rate in rates)
        if malformed:
            broken = answer.body.replace(b": ", b" ", 1)
            yield PlannedAck(answer.due, answer.name, broken, ErpAction("malformed", it.file))
            return
        if truncated:
            half = answer.body[: len(answer.body) // 2]
            yield PlannedAck(answer.due, answer.name, half, ErpAction("truncated", it.file), blunt=True)
            yield PlannedAck(
                answer.due + timedelta(seconds=behaviour.dawdle), answer.name, answer.body, it, blunt=True
            )
        else:
            yield answer
        if doubled:
            again = ErpAction(it.what, it.file, "the same answer again")
            yield PlannedAck(answer.due, f"{answer.name}.json", answer.body, again)


def _is_order(name: str) -> bool:
    return name.endswith(".json") and not name.startswith((".", "test_connection_"))


def _understand(body: bytes) -> tuple[dict[str, Any], str | None]:
    """The order, and what is wrong with its file."""
    try:
        payload.check(body)
        order: dict[str, Any] = json.loads(body)
    except (ValueError, Fault) as error:
        return {}, f"The file is not a valid order: {error}"
    return order, None


def _reason(order: dict[str, Any], rng: random.Random) -> str:
    customer, line = order["customer"], rng.choice(order["lines"])
    reasons = [
        f"Unknown customer {customer['erp_customer_number'] or customer['name']}",
        f"Article {line['internal_sku']} is blocked for sale (line {line['line_no']})",
        f"Customer {customer['name']} has exceeded the credit limit",
        f"Article {line['internal_sku']} can't be ordered in {line['uom']} (line {line['line_no']})",
    ]
    return rng.choice(reasons)


def _acceptance(name: str, identity: str, due: datetime) -> PlannedAck:
    number = f"SO-{due.year}-{zlib.crc32(identity.encode()) % 1_000_000:06}"
    body = {"status": "ACKED", "erp_order_id": number, "processed_at": _utc(due)}
    return PlannedAck(due, f"ack_{name}", _json(body), ErpAction("accepted", name, number))


def _refusal(name: str, problem: str, due: datetime) -> PlannedAck:
    body = {"status": "FAILED", "error_code": "ERP_VALIDATION", "message": problem, "processed_at": _utc(due)}
    return PlannedAck(due, f"error_{name}", _json(body), ErpAction("refused", name, problem))


def _json(body: dict[str, str]) -> bytes:
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _problem(fault: Fault) -> str:
    if fault.kind is NAME_TAKEN:
        return f"delivered again: {TAKEN}/ already holds a file of this name"
    return fault.message
