"""What the page for ERP programmers shows is what is understood."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from erp_connectors.connectors.json_acks.ack import parse
from erp_connectors.connectors.json_acks.ack_schema import SCHEMA

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = [
    json.loads(text) for text in re.findall(r'^\{"status".*\}$', (DOCS / "erp.md").read_text(), re.MULTILINE)
]


def test_the_published_schema_is_the_one_that_answers_are_held_against():
    published = json.loads((DOCS / "schemas" / "orderflow_ack_v1.schema.json").read_text())

    assert published == SCHEMA


def test_the_page_shows_an_acceptance_and_a_refusal():
    assert [example["status"] for example in EXAMPLES] == ["ACKED", "FAILED"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["status"])
def test_its_examples_keep_to_the_schema_and_are_understood(example):
    name = "ack_x.json" if example["status"] == "ACKED" else "error_x.json"

    jsonschema_rs.validate(SCHEMA, example, validate_formats=True)
    ack = parse(name, json.dumps(example).encode())

    assert ack.processed_at is not None
    assert (ack.erp_order_id, ack.message) == (example.get("erp_order_id"), example.get("message"))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "OK"},
        {"status": "ACKED"},
        {"status": "ACKED", "erp_order_id": 4711},
        {"status": "ACKED", "erp_order_id": " SO-1"},
        {"status": "FAILED", "processed_at": "2025-12-26T10:01:00"},
    ],
)
def test_the_schema_asks_for_the_careful_way(answer):
    assert not jsonschema_rs.is_valid(SCHEMA, answer, validate_formats=True)
