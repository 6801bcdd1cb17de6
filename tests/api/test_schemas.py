"""The files' schemas, for anybody who asks."""

import pytest
from django.test import Client

from erp_connectors.registry import connector_for

PUBLISHED = connector_for("DROPZONE_JSON_V1").schemas()


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("orderflow_export_json_v1.schema.json", PUBLISHED.export),
        ("orderflow_ack_v1.schema.json", PUBLISHED.ack),
    ],
)
def test_they_are_served_to_anybody(db: None, name: str, schema: object) -> None:
    response = Client().get(f"/api/v1/schemas/{name}")

    assert (response.status_code, response.json()) == (200, schema)


def test_another_name_is_told_which_there_are(db: None) -> None:
    response = Client().get("/api/v1/schemas/orders.xsd")

    assert response.status_code == 404
    assert "orderflow_ack_v1.schema.json" in response.json()["error"]["message"]
