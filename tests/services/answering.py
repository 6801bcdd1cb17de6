"""Any set of ack files for exports in any standing: strategies, and the state that they end in."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st

from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.connections.ack_folders import REASON_SUFFIX
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push_many, retry_push
from erp_connectors.states import ExportStatus, FailedAs
from orderflow.messages import english
from orderflow.orders.states import DraftStatus
from tests import factories

STANDINGS = ("sent", "not staged", "staged", "not sent", "unknown", "replaced")
NAMES = ("{}", "{}.json", "{}.JSON")
TIMES = (None, "2026-11-23T10:00:00Z", "2026-11-23T11:00:00+01:00", "2026-11-23T12:00:00Z")
POINTS = ("acks-read", "acks-decided", "acks-moved-before-reasons", "acks-moved-before-commit")


@dataclass(frozen=True)
class File:
    """``export``: which of the exports its name answers."""

    name: str
    export: int
    body: bytes

    def named(self, exports: Sequence[ERPExport]) -> str:
        prefix, rest = self.name.split("_", 1)
        return f"{prefix}_{rest.format(exports[self.export].filename)}"


def accepted(number: str, at: str | None) -> bytes:
    return json.dumps({"status": "ACKED", "erp_order_id": number, "processed_at": at}).encode()


def refused(message: str, at: str | None) -> bytes:
    return json.dumps(
        {"status": "FAILED", "error_code": "E", "message": message, "processed_at": at}
    ).encode()


times = st.sampled_from(TIMES)
files = st.one_of(
    st.builds(
        File,
        st.sampled_from([f"{prefix}_{name}" for prefix in ("ack", "ACK") for name in NAMES]),
        st.integers(0, 1),
        st.one_of(
            st.builds(accepted, st.sampled_from(("SO-1", "SO-2", "SO-3")), times),
            st.sampled_from((b"", b'{"status": "ACKED"', b'{"status": "OK"}')),
        ),
    ),
    st.builds(
        File,
        st.sampled_from([f"{prefix}_{name}" for prefix in ("error", "Error") for name in NAMES]),
        st.integers(0, 1),
        st.builds(refused, st.sampled_from(("no", "never")), times),
    ),
    st.builds(
        File, st.just("ack_of_another_{}"), st.integers(0, 1), st.builds(accepted, st.just("SO-9"), times)
    ),
)
sets_of_files = st.lists(
    files, min_size=1, max_size=6, unique_by=lambda file: (file.name.lower(), file.export)
)


@dataclass
class Exchange:
    """An org with two exports, and an ERP that answers."""

    connection: ERPConnection
    inbox: Path
    acks: Path
    exports: list[ERPExport]

    def arrive(self, file: File) -> None:
        (self.acks / file.named(self.exports)).write_bytes(file.body)

    def settle(self) -> None:
        """Deliver what is left, and poll until nothing changes any more."""
        deliver(self.connection.pk)
        for _ in range(4):
            poll(self.connection.pk)

    def require_every_file_once(self, written: Sequence[File]) -> None:
        there = [
            path for path in self.acks.rglob("*") if path.is_file() and not path.name.endswith(REASON_SUFFIX)
        ]
        assert Counter(path.read_bytes() for path in there) == Counter(file.body for file in written)

    def state(self) -> Any:
        places = {export.pk: n for n, export in enumerate(self.exports)}
        mine = ERPExport.objects.filter(connection=self.connection)
        exports = sorted(mine, key=lambda export: (places.get(export.pk, len(places)), export.created_at))
        rows = AckFile.objects.filter(connection=self.connection).values_list("name", "status", "reason")
        return (
            [self._of(export) for export in exports],
            sorted(
                (self._plain(name), status, self._plain(english(reason))) for name, status, reason in rows
            ),
            sorted(self._plain(str(path.relative_to(self.acks))) for path in self.acks.rglob("*")),
        )

    def _of(self, export: ERPExport) -> tuple[object, ...]:
        conflict = export.conflict_json or {}
        error = export.error_json or {}
        return (
            export.status,
            export.failed_as,
            export.erp_order_id,
            (error.get("code"), error.get("params"), error.get("processed_at")),
            (conflict.get("answer"), conflict.get("erp_order_id"), self._plain(conflict.get("file", ""))),
            export.draft_order.status,
            export.draft_order.erp_order_id,
        )

    def _plain(self, text: str) -> str:
        for n, export in enumerate(self.exports):
            text = text.replace(export.filename, f"<{n}>")
        return text


def exchange(folder: Path, standings: Sequence[str]) -> Exchange:
    org = factories.org()
    inbox, acks = folder / org.slug / "in", folder / org.slug / "ack"
    inbox.mkdir(parents=True)
    acks.mkdir()
    config = {"mode": "filesystem", "export_path": str(inbox), "ack_path": str(acks)}
    connection = factories.connection(org, config)
    orders = [factories.draft(org, lines=1) for _ in standings]
    results = push_many(factories.ids(orders), actor=None)
    exports = [results[order.pk].export for order in orders]
    if "not staged" in standings:
        later = ERPExport.objects.filter(
            pk__in=[e.pk for e, s in zip(exports, standings, strict=True) if s == "not staged"]
        )
        later.update(next_attempt_at=datetime(2100, 1, 1, tzinfo=UTC))
    deliver(connection.pk)
    for export, standing in zip(exports, standings, strict=True):
        _put(export, standing)
    return Exchange(connection, inbox, acks, [ERPExport.objects.get(pk=export.pk) for export in exports])


def _put(export: ERPExport, standing: str) -> None:
    row = ERPExport.objects.filter(pk=export.pk)
    order = type(export.draft_order).objects.filter(pk=export.draft_order_id)
    if standing == "not staged":
        row.update(next_attempt_at=None)
    elif standing == "staged":
        row.update(status=ExportStatus.PENDING, sent_at=None)
        order.update(status=DraftStatus.PUSHING)
    elif standing in ("not sent", "unknown"):
        failed_as = FailedAs.NOT_SENT if standing == "not sent" else FailedAs.UNKNOWN
        row.update(status=ExportStatus.FAILED, failed_as=failed_as, sent_at=None)
        order.update(status=DraftStatus.ERROR)
    elif standing == "replaced":
        row.update(status=ExportStatus.FAILED, failed_as=FailedAs.REFUSED, answered_at=timezone.now())
        order.update(status=DraftStatus.ERROR)
        retry_push(export.draft_order_id, actor=None)
        deliver(export.connection_id)
