"""`validate_ack` and `validate_export`, as somebody runs them who programs the ERP's side."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from erp_connectors.connectors.dropzone_json_v1 import payload
from tests.connectors.test_payload import order

ORDER = "sales_order_550e8400_20251227_100000_abc12345.json"
WELL = {"status": "ACKED", "erp_order_id": "SO-1", "processed_at": "2025-12-26T10:01:00Z"}


def run(command: str, *arguments: Any) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command(command, *(str(argument) for argument in arguments), stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def put(folder: Path, name: str, body: bytes | dict[str, Any]) -> Path:
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return path


def test_an_answer_that_is_written_well_gets_no_advice(tmp_path: Path) -> None:
    code, said = run("validate_ack", put(tmp_path, f"ack_{ORDER}", WELL))

    assert (code, said) == (
        0,
        f"ack_{ORDER}: accepted as SO-1, processed at 2025-12-26 10:01:00 UTC. It answers {ORDER}.\n",
    )


def test_a_refusal_is_said_as_a_person_will_read_it(tmp_path: Path) -> None:
    body = {"status": "FAILED", "error_code": "E7", "message": "Unknown customer 4711"}

    assert (
        "refused: E7 Unknown customer 4711." in run("validate_ack", put(tmp_path, f"error_{ORDER}", body))[1]
    )


@pytest.mark.parametrize(
    ("body", "better"),
    [
        ({**WELL, "erp_order_id": 4711}, "erp_order_id: 4711 is not of type"),
        ({**WELL, "processed_at": "26.12.2025"}, "processed_at: "),
        ({"status": "ACKED", "erp_order_id": "SO-1"}, 'Write "processed_at", with its zone'),
        (json.dumps(WELL).encode("utf-16"), "Write plain JSON in UTF-8"),
    ],
    ids=["a number", "no zone", "no time", "UTF-16"],
)
def test_what_is_understood_though_clumsy_gets_advice(tmp_path: Path, body: Any, better: str) -> None:
    code, said = run("validate_ack", put(tmp_path, f"ack_{ORDER}", body))

    assert (code, "accepted as" in said) == (0, True)
    assert f"  better: {better}" in said


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        (f"ack_{ORDER}", {**WELL, "status": "OK"}, '"status" is "OK". Write "ACKED" or "FAILED".'),
        (f"error_{ORDER}", WELL, "The file name says FAILED"),
        (f"ack_{ORDER}", b'{"status": "ACK', "not understood yet: it breaks off"),
        (f"answer_{ORDER}", WELL, "not the name of an answer"),
        (f"ack-{ORDER}", WELL, f"call the file ack_{ORDER}"),
        (f"ack_{ORDER}", b" " * (1024 * 1024 + 1), "ACK_MAX_BYTES"),
    ],
    ids=["status", "name against status", "half", "name", "nearly the name", "too large"],
)
def test_what_is_not_understood_is_said_with_its_reason(
    tmp_path: Path, name: str, body: Any, why: str
) -> None:
    code, said = run("validate_ack", put(tmp_path, name, body))

    assert code == 1
    assert why in said


def test_many_files_get_a_line_each_and_one_bad_one_counts(tmp_path: Path) -> None:
    good = put(tmp_path, f"ack_{ORDER}", WELL)
    bad = put(tmp_path, f"error_{ORDER}", b"[]")

    code, said = run("validate_ack", "--json", good, bad)

    assert (code, [json.loads(line)["fine"] for line in said.splitlines()]) == (1, [True, False])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"ack_x\.json: No such file") as caught:
        run("validate_ack", tmp_path / "ack_x.json")
    assert caught.value.returncode == 2


def test_a_connector_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="this deployment has DROPZONE_CSV_V1, DROPZONE_JSON_V1"):
        run("validate_ack", "--connector", "X", put(tmp_path, f"ack_{ORDER}", WELL))


def test_what_we_write_is_valid(tmp_path: Path) -> None:
    code, said = run("validate_export", put(tmp_path, ORDER, payload.render(order())))

    assert code == 0
    assert "valid, orderflow_export_json_v1" in said
    assert "better" not in said


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"lines": []}, "lines: [] has less than 1 item"),
        ({"approved_at": "yesterday"}, "approved_at: "),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_wrong_with_an_order_file_names_the_place(
    tmp_path: Path, change: dict[str, Any], wrong: str
) -> None:
    body = {**json.loads(payload.render(order())), **change}

    code, said = run("validate_export", put(tmp_path, ORDER, body))

    assert code == 1
    assert wrong in said.split("  wrong: ", 1)[1]


def test_half_an_order_file_is_no_json(tmp_path: Path) -> None:
    code, said = run("validate_export", put(tmp_path, ORDER, payload.render(order())[:-30]))

    assert (code, "It is not JSON" in said) == (1, True)


def test_a_name_of_ones_own_is_fine_and_remarked(tmp_path: Path) -> None:
    code, said = run("validate_export", put(tmp_path, "my_test.json", payload.render(order())))

    assert (code, "OrderFlow would not give a file this name" in said) == (0, True)
