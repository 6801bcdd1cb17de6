"""Check export and ack files against their format, for ERP programmers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import msgspec

from erp_connectors.connectors.base import AckUnreadable, Connector
from erp_connectors.port_types import Ack

MAX_PROBLEMS = 20


class FileCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one file. ``problems`` make it unusable; ``advice``: works, but should be changed."""

    file: str
    fine: bool
    says: str
    problems: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        head = f"{self.file}: {self.says}"
        return [
            head,
            *(f"  wrong: {text}" for text in self.problems),
            *(f"  better: {text}" for text in self.advice),
        ]


def examine_ack(connector: Connector[Any], name: str, body: bytes) -> FileCheck:
    """Return how a poll would read this ack file. Raises `ConfigError` if the connector has required keys."""
    options = connector.parse({})
    answered = connector.acknowledges(name, options)
    if answered is None:
        meant = connector.misnamed_answer(name, options)
        wrong = (f"the name; call the file {meant.expected_name}",) if meant else ()
        return _refused(name, "left where it is: this is not the name of an answer", wrong)
    try:
        acks = connector.parse_ack(name, body, options)
    except AckUnreadable as error:
        # An incomplete file may still be being written, so a poll waits for it.
        what = (
            "not understood yet: it breaks off"
            if error.unfinished
            else "not understood: it would go to error/"
        )
        return _refused(name, what, (str(error),))
    return FileCheck(
        file=name,
        fine=True,
        says=" ".join(
            f"{_describe_answer(ack)} It answers {ack.export_filename or answered.export_filename}."
            for ack in acks
        ),
        advice=tuple(_advice(connector, body)),
    )


def examine_export(connector: Connector[Any], name: str, body: bytes) -> FileCheck:
    """Return if an order file is valid by the published schema."""
    schema = connector.schemas().export
    if schema is None:
        return _refused(name, f"{connector.type} publishes no schema to hold it against", ())
    try:
        file = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return _refused(name, "not an order file", (f"It is not JSON in UTF-8: {error}",))
    if problems := tuple(_violations(schema, file)):
        return _refused(name, "not an order file", problems)
    advice = [] if connector.names_export(name) else ["OrderFlow would not give a file this name."]
    return FileCheck(
        file=name,
        fine=True,
        says=f"valid, {connector.version}, {len(body)} bytes.",
        advice=tuple(advice),
    )


def _describe_answer(ack: Ack) -> str:
    at = f", processed at {ack.processed_at:%Y-%m-%d %H:%M:%S} UTC" if ack.processed_at else ""
    if ack.accepted:
        return f"accepted as {ack.erp_order_id}{at}."
    reason = " ".join(part for part in (ack.error_code, ack.message) if part)
    return f"refused{at}: {reason or 'no reason given'}."


def _advice(connector: Connector[Any], body: bytes) -> Iterator[str]:
    schema = connector.schemas().ack
    if schema is None:
        return
    try:
        file = json.loads(body.decode())
    except (ValueError, RecursionError):
        yield "Write plain JSON in UTF-8, with no byte order mark and nothing behind the object."
        return
    yield from _violations(schema, file)
    if isinstance(file, dict) and file.get("processed_at") is None:
        yield 'Write "processed_at", with its zone: it decides which of several answers counts.'


def _violations(schema: Mapping[str, Any], file: Any) -> Iterator[str]:
    validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
    for number, error in enumerate(validator.iter_errors(file)):
        if number == MAX_PROBLEMS:
            yield "…and more."
            return
        place = "/".join(str(part) for part in error.instance_path) or "the file"
        yield f"{place}: {error.message}"


def _refused(name: str, says: str, problems: tuple[str, ...]) -> FileCheck:
    return FileCheck(file=name, fine=False, says=says + ".", problems=problems)
