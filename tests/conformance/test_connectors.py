"""Every promise of `connectors/base.py`, on every registered connector."""

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors import registry
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.port_types import Ack, OrderCustomer, OrderDocument, OrderLine

ID = UUID("550e8400-e29b-41d4-a716-446655440000")
AT = datetime(2025, 12, 27, 10, tzinfo=UTC)
LINE = OrderLine(1, "INT-999", Decimal("10.000"), "M", Decimal("1.2300"), "EUR", None, "Käse \U0001f9c0")
ORDER = OrderDocument(
    draft_order_id=ID,
    org_slug="acme",
    approved_at=AT,
    approved_by="ops@acme.de",
    customer=OrderCustomer(ID, None, "Muster GmbH"),
    external_order_number=None,
    order_date=date(2025, 12, 1),
    currency="EUR",
    requested_delivery_date=None,
    notes=None,
    lines=(LINE,),
    source_document=None,
)
every_connector = pytest.mark.parametrize("connector_type", registry.connector_types())


@every_connector
def test_it_says_its_registered_name(connector_type):
    assert registry.connector_for(connector_type).connector_type == connector_type


@every_connector
def test_file_names_are_unique_plain_and_short_enough_for_any_file_system(connector_type):
    connector = registry.connector_for(connector_type)
    names = {connector.filename(uuid4(), at=AT, token=f"{n:08x}") for n in range(200)}
    names |= {connector.filename(ID, at=AT, token=f"{n:08x}") for n in range(200)}

    assert len(names) == 400
    for name in names:
        assert PurePosixPath(name).name == name
        assert name.isascii()
        assert name.isprintable()
        assert not name.startswith((".", "-"))
        assert len(f"error_{name}.json") < 255


@every_connector
def test_it_knows_the_names_it_makes_from_others(connector_type):
    connector = registry.connector_for(connector_type)
    name = connector.filename(ID, at=AT, token="abc12345")

    assert connector.names_export(name)
    assert not any(map(connector.names_export, [f"ack_{name}", f"{name}.tmp", f"{name}\n", "readme.txt", ""]))


@every_connector
def test_an_export_is_not_taken_for_its_own_answer(connector_type):
    connector = registry.connector_for(connector_type)

    assert connector.acknowledges(connector.filename(ID, at=AT, token="abc12345")) is None


@pytest.mark.parametrize("ack", ["ack_{}", "error_{}", "ack_{}.json", "error_{}.json"])
def test_the_published_ack_names_lead_back_to_the_export(ack):
    connector = registry.connector_for("DROPZONE_JSON_V1")
    name = connector.filename(ID, at=AT, token="abc12345")

    assert connector.acknowledges(ack.format(name)) == name


@every_connector
def test_the_same_order_gives_the_same_bytes(connector_type):
    connector = registry.connector_for(connector_type)

    assert connector.render(ORDER) == connector.render(ORDER) != b""


@every_connector
def test_an_unknown_key_is_refused_by_its_name(connector_type):
    with pytest.raises(ConfigError) as caught:
        parse_config(connector_type, {"mode": "filesystem", "export_path": "/in", "no_such_key": 1})
    assert caught.value.problems["no_such_key"].endswith(f"the connector {connector_type}")


@every_connector
def test_what_sounds_secret_is_marked_secret(connector_type):
    fields = config_fields(connector_type)
    words = ("password", "passphrase", "ssh_key", "token", "secret")

    assert fields
    # The day on which a secret runs out is none.
    sounding = [
        f for f in fields if f.type != "date" and (f.name.startswith(words) or f.name.endswith(words))
    ]
    assert [f.name for f in sounding] == [f.name for f in fields if f.secret]


@every_connector
@given(name=st.text(max_size=60), body=st.binary(max_size=200))
def test_any_name_and_any_bytes_are_an_answer_or_unreadable(connector_type, name, body):
    connector = registry.connector_for(connector_type)
    answered = connector.acknowledges(name)

    assert answered is None or answered in name
    with suppress(AckUnreadable):
        assert isinstance(connector.parse_ack(f"ack_{name}", body), Ack)
