"""Every promise of `connectors/base.py`, as a suite for one connector."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID, uuid4

import msgspec

from erp_connectors.connectors.base import AckUnreadable, Connector, is_sound
from erp_connectors.port_types import Ack, OrderCustomer, OrderDocument, OrderLine
from erp_connectors.testing.secret_fields import require_secrets_marked

ID = UUID("550e8400-e29b-41d4-a716-446655440000")
AT = datetime(2025, 12, 27, 10, tzinfo=UTC)
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
    lines=(
        OrderLine(1, "INT-999", Decimal("10.000"), "M", Decimal("1.2300"), "EUR", None, "Käse \U0001f9c0"),
    ),
    source_document=None,
)
ODD_ANSWERS = 200


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """An answer as the ERP writes it; ``{}`` in ``name`` and ``body`` stands for the export's file name."""

    name: str
    body: bytes
    answers: int = 1

    def of(self, export: str) -> tuple[str, bytes]:
        return self.name.replace("{}", export), self.body.replace(b"{}", export.encode())


class ConnectorSuite:
    """The tests of the connector port. Subclass it as ``TestMine`` with a fixture `connector`.

    ``config`` holds the connector's own required keys. ``answers``: at least one file of each kind that it reads.
    """

    config: dict[str, Any] = {}  # a subclass replaces it
    answers: Sequence[AnswerFile] = ()  # a subclass replaces it

    def test_each_key_is_described_with_its_default(self, connector: Connector[Any]) -> None:
        described = {field.name: field.default for field in connector.fields()}
        parsed = {
            field.name: None if field.default is msgspec.NODEFAULT else field.default
            for field in msgspec.structs.fields(connector.Options)
        }

        assert described == parsed

    def test_what_sounds_secret_is_marked_secret(self, connector: Connector[Any]) -> None:
        require_secrets_marked(connector.fields())

    def test_file_names_are_unique_plain_and_short_enough_for_any_file_system(
        self, connector: Connector[Any]
    ) -> None:
        names = {connector.filename(uuid4(), at=AT, token=f"{n:08x}") for n in range(200)}
        names |= {connector.filename(ID, at=AT, token=f"{n:08x}") for n in range(200)}

        assert len(names) == 400
        for name in names:
            assert PurePosixPath(name).name == name
            assert name.isascii()
            assert name.isprintable()
            assert not name.startswith((".", "-"))
            assert len(f"error_{name}.json") < 255

    def test_other_names_are_not_taken_for_exports(self, connector: Connector[Any]) -> None:
        name = connector.filename(ID, at=AT, token="abc12345")

        assert not any(
            map(connector.names_export, [f"ack_{name}", f"{name}.tmp", f"{name}\n", "readme.txt", ""])
        )

    def test_an_export_is_not_taken_for_its_own_answer(self, connector: Connector[Any]) -> None:
        name = connector.filename(ID, at=AT, token="abc12345")

        assert connector.acknowledges(name, connector.parse(self.config)) is None

    def test_the_same_order_gives_the_same_bytes(self, connector: Connector[Any]) -> None:
        options = connector.parse(self.config)

        assert connector.render(ORDER, options) == connector.render(ORDER, options) != b""

    def test_each_answer_in_a_file_names_its_export(self, connector: Connector[Any]) -> None:
        options, export = connector.parse(self.config), connector.filename(ID, at=AT, token="abc12345")
        assert self.answers, "list the answer files that the connector reads"
        for example in self.answers:
            name, body = example.of(export)
            answered = connector.acknowledges(name, options)
            assert answered is not None
            acks = connector.parse_ack(name, body, options)
            assert len(acks) == example.answers
            assert acks == connector.parse_ack(name, body, options)
            assert export in {ack.export_filename or answered.export_filename for ack in acks}
            for ack in acks:
                self.require_sound(ack)
                assert ack.export_filename or answered.export_filename

    def test_the_example_of_an_answer_file_has_the_result_that_its_name_says(
        self, connector: Connector[Any]
    ) -> None:
        options, export = connector.parse(self.config), connector.filename(ID, at=AT, token="abc12345")
        for file in self.answers:
            name, body = file.of(export)
            answered = connector.acknowledges(name, options)
            example = connector.ack_example(name, options)
            if example is None:
                continue
            assert f"{example.name}{example.content}".isascii()
            assert connector.acknowledges(example.name, options) == answered
            acks = connector.parse_ack(example.name, example.content.encode(), options)
            assert example.accepted is None or {example.accepted} == {ack.accepted for ack in acks}
            if answered and answered.export_filename:
                results = {ack.accepted for ack in connector.parse_ack(name, body, options)}
                assert {example.accepted} == results

    def test_an_answer_file_that_is_cut_off_is_read_or_unreadable(self, connector: Connector[Any]) -> None:
        options, export = connector.parse(self.config), connector.filename(ID, at=AT, token="abc12345")
        for example in self.answers:
            name, body = example.of(export)
            for end in range(len(body)):
                with suppress(AckUnreadable):
                    for ack in connector.parse_ack(name, body[:end], options):
                        self.require_sound(ack)

    def test_any_name_and_any_bytes_are_an_answer_or_unreadable(self, connector: Connector[Any]) -> None:
        rng = random.Random(1)
        options, export = connector.parse(self.config), connector.filename(ID, at=AT, token="abc12345")
        for _ in range(ODD_ANSWERS):
            odd = "".join(
                chr(rng.choice([0, 10, 34, 47, 65, 228, 0x202E, 0x1F9C0])) for _ in range(rng.randrange(9))
            )
            for name in (odd, f"ack_{odd}", f"{export}{odd}", f"{odd}{export}"):
                answered = connector.acknowledges(name, options)
                assert answered is None or answered.export_filename in name
            for name in {f"ack_{export}", *(example.of(export)[0] for example in self.answers)}:
                with suppress(AckUnreadable):
                    acks = connector.parse_ack(name, rng.randbytes(rng.randrange(200)), options)
                    assert acks
                    for ack in acks:
                        self.require_sound(ack)

    def require_sound(self, ack: Ack) -> None:
        """Assert that the database can store the answer."""
        assert isinstance(ack, Ack)
        assert is_sound(ack), ack
