import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from erp_connectors.connectors.base import AckUnreadable, NoOptions
from erp_connectors.connectors.dropzone_json_v1 import DropzoneJsonV1
from erp_connectors.connectors.json_acks.ack_names import acknowledges
from erp_connectors.port_types import OrderCustomer, OrderDocument, OrderLine
from erp_connectors.simulated_erp import Behaviour, SimulatedErp
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
CONNECTOR = DropzoneJsonV1()


@pytest.fixture
def erp(tmp_path: Path) -> SimulatedErp:
    return make(tmp_path)


def make(folder: Path, **behaviour: Any) -> SimulatedErp:
    for name in ("export", "ack"):
        (folder / name).mkdir(exist_ok=True)
    transport = FilesystemTransport(FilesystemOptions(), TransportPolicy(dropzone_roots=(str(folder),)))
    return SimulatedErp(
        transport, str(folder / "export"), str(folder / "ack"), Behaviour(seed="7", **behaviour)
    )


def put_order(folder: Path, draft_id: UUID | None = None) -> str:
    line = OrderLine(1, "INT-1", Decimal("2.5"), "M", None, "EUR", None, "Kabel NYM-J 3x1,5 mm²")
    order = OrderDocument(
        draft_id or uuid4(), "acme", NOW, "ops@example.com", OrderCustomer(uuid4(), "4711", "Müller GmbH"),
        "PO-1", None, "EUR", None, None, (line,), None,
    )  # fmt: skip
    name = CONNECTOR.filename(order.draft_order_id, at=NOW, token=uuid4().hex[:8])
    (folder / "export" / name).write_bytes(CONNECTOR.render(order, NoOptions()))
    return name


def acks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "ack").iterdir()}


def test_a_taken_order_is_accepted_in_a_file_that_the_connector_understands(
    erp: SimulatedErp, tmp_path: Path
) -> None:
    name = put_order(tmp_path)
    assert [happening.what for happening in erp.step(NOW)] == ["taken", "accepted"]
    ((ack_name, body),) = acks(tmp_path).items()
    (ack,) = CONNECTOR.parse_ack(ack_name, body, NoOptions())
    assert (ack_name, acknowledges(ack_name), ack.accepted) == (f"ack_{name}", name, True)
    assert ack.erp_order_id
    assert ack.erp_order_id.startswith("SO-2026-")
    assert [path.name for path in (tmp_path / "export").glob("*.json")] == []
    assert (tmp_path / "export" / "taken" / name).exists()


def test_a_refusal_names_its_reason_and_a_second_sending_is_accepted(tmp_path: Path) -> None:
    erp, draft_id = make(tmp_path, refuse_rate=1.0), uuid4()
    name = put_order(tmp_path, draft_id)
    erp.step(NOW)
    (ack,) = CONNECTOR.parse_ack(f"error_{name}", acks(tmp_path)[f"error_{name}"], NoOptions())
    assert (ack.accepted, ack.error_code) == (False, "ERP_VALIDATION")
    assert ack.message
    again = put_order(tmp_path, draft_id)
    erp.step(NOW)
    assert f"ack_{again}" in acks(tmp_path)


def test_the_same_seed_decides_alike_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    drafts = [uuid4() for _ in range(40)]
    refused = []
    for turn, sequence in enumerate((drafts, drafts[::-1])):
        folder = tmp_path / str(turn)
        folder.mkdir()
        erp = make(folder, refuse_rate=0.3)
        for draft_id in sequence:
            put_order(folder, draft_id)
            erp.step(NOW)
        refused.append({name.split("_")[3] for name in acks(folder) if name.startswith("error_")})
    assert refused[0] == refused[1]
    assert 3 < len(refused[0]) < 25


def test_temporary_and_test_files_are_left_alone(erp: SimulatedErp, tmp_path: Path) -> None:
    for name in ("sales_order_1.json.1.tmp", "test_connection_20260101.json", "notes.txt"):
        (tmp_path / "export" / name).write_text("{}")
    assert erp.step(NOW) == []


def test_a_file_that_is_no_order_is_refused_with_the_problem(erp: SimulatedErp, tmp_path: Path) -> None:
    (tmp_path / "export" / "sales_order_x.json").write_text('{"half": ')
    erp.step(NOW)
    answer = json.loads(acks(tmp_path)["error_sales_order_x.json"])
    assert "not a valid order" in answer["message"]


def test_an_answer_waits_for_its_delay(tmp_path: Path) -> None:
    erp = make(tmp_path, delay=4)
    put_order(tmp_path)
    assert [happening.what for happening in erp.step(NOW)] == ["taken"]
    assert acks(tmp_path) == {}
    assert [happening.what for happening in erp.step(LATER)] == ["accepted"]


def test_malformed_answers_can_be_understood_by_nobody(tmp_path: Path) -> None:
    erp = make(tmp_path, malformed_rate=1.0)
    put_order(tmp_path)
    erp.step(NOW)
    ((name, body),) = acks(tmp_path).items()
    with pytest.raises(AckUnreadable):
        CONNECTOR.parse_ack(name, body, NoOptions())


def test_a_truncated_answer_is_completed_later(tmp_path: Path) -> None:
    erp = make(tmp_path, truncate_rate=1.0)
    put_order(tmp_path)
    erp.step(NOW)
    ((name, half),) = acks(tmp_path).items()
    with pytest.raises(AckUnreadable):
        CONNECTOR.parse_ack(name, half, NoOptions())
    erp.step(LATER)
    (ack,) = CONNECTOR.parse_ack(name, acks(tmp_path)[name], NoOptions())
    assert ack.accepted


def test_a_duplicate_comes_under_the_doubled_name(tmp_path: Path) -> None:
    erp = make(tmp_path, duplicate_rate=1.0)
    name = put_order(tmp_path)
    erp.step(NOW)
    assert set(acks(tmp_path)) == {f"ack_{name}", f"ack_{name}.json"}
    assert {acknowledges(ack) for ack in acks(tmp_path)} == {name}


def test_a_file_delivered_twice_is_an_error_and_reported_once(erp: SimulatedErp, tmp_path: Path) -> None:
    name = put_order(tmp_path)
    body = (tmp_path / "export" / name).read_bytes()
    erp.step(NOW)
    (tmp_path / "export" / name).write_bytes(body)
    what = Counter(happening.what for _ in range(3) for happening in erp.step(NOW))
    assert what == {"error": 1}
