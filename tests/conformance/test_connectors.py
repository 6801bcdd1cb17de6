"""Every promise of `connectors/base.py`, on every registered connector."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors import registry
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.connectors.base import AckName, AckUnreadable, NoOptions
from erp_connectors.port_types import Ack
from erp_connectors.testing import AnswerFile, ConnectorSuite
from erp_connectors.testing.connectors import AT, ID
from orderflow.messages import Message

every_connector = pytest.mark.parametrize("connector_type", registry.connector_types())


class TestConnectors(ConnectorSuite):
    answers = (
        AnswerFile("ack_{}", b'{"status": "ACKED", "erp_order_id": "SO-1"}'),
        AnswerFile("error_{}.json", b'{"status": "FAILED", "message": "Unknown customer"}'),
    )

    @pytest.fixture(params=registry.connector_types())
    def connector(self, request):
        return registry.connector_for(request.param)


@every_connector
def test_it_says_its_registered_name(connector_type):
    assert registry.connector_for(connector_type).type == connector_type


@every_connector
def test_it_knows_the_names_it_makes(connector_type):
    connector = registry.connector_for(connector_type)

    assert connector.names_export(connector.filename(ID, at=AT, token="abc12345"))


@pytest.mark.parametrize("ack", ["ack_{}", "error_{}", "ack_{}.json", "error_{}.json"])
def test_the_published_ack_names_lead_back_to_the_export(ack):
    connector = registry.connector_for("DROPZONE_JSON_V1")
    name = connector.filename(ID, at=AT, token="abc12345")

    assert connector.acknowledges(ack.format(name), NoOptions()) == AckName(name)


@every_connector
def test_an_unknown_key_is_refused_by_its_name(connector_type):
    with pytest.raises(ConfigError) as caught:
        parse_config(connector_type, {"mode": "filesystem", "export_path": "/in", "no_such_key": 1})
    assert caught.value.problems["no_such_key"] == Message(
        "config.unknown_key_of_mode", mode="filesystem", connector=connector_type
    )


@every_connector
def test_every_key_is_described(connector_type):
    assert all(field.label and field.help and field.group for field in config_fields(connector_type))


@every_connector
@given(name=st.text(max_size=60), body=st.binary(max_size=200))
def test_any_name_and_any_bytes_are_an_answer_or_unreadable(connector_type, name, body):
    connector = registry.connector_for(connector_type)
    options = connector.parse({})
    answered = connector.acknowledges(name, options)

    assert answered is None or answered.export_filename in name
    with suppress(AckUnreadable):
        assert all(isinstance(ack, Ack) for ack in connector.parse_ack(f"ack_{name}", body, options))
