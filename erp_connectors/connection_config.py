"""One flat config for each connection: the common keys, those of its transport, and those of its connector."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from erp_connectors import common_fields
from erp_connectors.common_fields import MODE, Dropzone, mode_field
from erp_connectors.config_fields import ConfigError, ConfigField, by_group
from erp_connectors.connectors.base import Connector
from erp_connectors.registry import connector_for, is_mode, transport_for, transport_modes
from erp_connectors.transports.base import RenewedCredentials, Transport
from orderflow.messages import Message, foreign

_COMMON = frozenset({MODE, *(field.name for field in common_fields.FIELDS)})


def config_fields(connector_type: str) -> tuple[ConfigField, ...]:
    """Return the fields of all parts, with those of every transport. Raises `UnknownConnectorType`."""
    modes = tuple((mode, transport_for(mode)) for mode in transport_modes())
    return _composed(connector_for(connector_type), modes)


def applies(field: ConfigField, config: Mapping[str, Any]) -> bool:
    """Return True if the field belongs to the mode of a config, and to the value of the field that it depends on."""
    return (not field.modes or config.get(MODE) in field.modes) and field.applies(config)


def parse_config(connector_type: str, raw: Mapping[str, Any]) -> Dropzone:
    """Raises `ConfigError` with every wrong key, and `UnknownConnectorType`; a null value counts as absent."""
    connector = connector_for(connector_type)
    given = {key: value for key, value in raw.items() if value is not None}
    mode = str(given.get(MODE, ""))
    transport = transport_for(mode) if is_mode(mode) else None
    common, problems = common_fields.parse(given)
    if transport is None:
        problems = {MODE: _mode_problem(given)} | problems
    if transport:
        problems = _unused(given, mode, transport) | problems
    problems = _misplaced(given, connector, mode if transport else None) | problems
    options = format_options = None
    try:
        options = transport.parse(_part(given, _keys(transport))) if transport else None
    except ConfigError as error:
        problems |= error.problems
    try:
        format_options = connector.parse(_part(given, _keys(connector)))
    except ConfigError as error:
        problems |= error.problems
    if problems or common is None or options is None:
        raise ConfigError(problems)
    return common_fields.dropzone(mode, options, common, format_options)


def parse_options(connector_type: str, raw: Mapping[str, Any]) -> object:
    """Return the options of the connector alone, ignoring other keys. Raises as `parse_config`."""
    connector = connector_for(connector_type)
    given = {key: value for key, value in raw.items() if value is not None}
    return connector.parse(_part(given, _keys(connector)))


def renew_config(raw: Mapping[str, Any], renewed: RenewedCredentials, *, today: date) -> dict[str, Any]:
    """Return the config without the credentials that the used ones replace. Raises `UnknownMode`."""
    return transport_for(raw[MODE]).renew(raw, renewed, today=today)


@cache
def _keys(part: "Connector[Any] | type[Transport]") -> frozenset[str]:
    return frozenset(field.name for field in part.fields())


def _part(given: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: given[key] for key in keys if key in given}


def _mode_problem(given: Mapping[str, Any]) -> Message:
    if MODE not in given:
        return Message("config.missing")
    return Message("config.not_a_choice", choices=_alternatives(transport_modes()))


def _alternatives(names: Sequence[str]) -> Message:
    *others, last = names
    return Message("config.alternatives", others=", ".join(others), last=last) if others else foreign(last)


def _misplaced(given: Mapping[str, Any], connector: Connector[Any], mode: str | None) -> dict[str, Message]:
    """Name the part that has each key which is not one of this connection's parts."""
    own = _COMMON | _keys(connector) | (_keys(transport_for(mode)) if mode is not None else frozenset())
    others = sorted(given.keys() - own)
    if not others:
        return {}
    of_modes = {key: [one for one in transport_modes() if key in _keys(transport_for(one))] for key in others}
    if mode is None:  # the mode's own problem is enough
        others = [key for key in others if not of_modes[key]]
    return {
        key: Message("config.of_other_mode", modes=_alternatives(of_modes[key]))
        if of_modes[key]
        else _nowhere(connector, mode)
        for key in others
    }


def _unused(given: Mapping[str, Any], mode: str, transport: type[Transport]) -> dict[str, Message]:
    """Name the common keys that the transport does not use, unless they say what holds anyway."""
    defaults = {field.name: field.default for field in common_fields.FIELDS}
    wrong = [key for key in transport.unused_common_fields & given.keys() if given[key] != defaults[key]]
    return {key: Message("config.not_used", mode=mode) for key in sorted(wrong)}


def _nowhere(connector: Connector[Any], mode: str | None) -> Message:
    if mode is None:
        return Message("config.unknown_key", connector=connector.type)
    return Message("config.unknown_key_of_mode", mode=mode, connector=connector.type)


@cache
def _composed(
    connector: Connector[Any], modes: tuple[tuple[str, type[Transport]], ...]
) -> tuple[ConfigField, ...]:
    of_transports: dict[str, ConfigField] = {}
    for mode, transport in modes:
        for field in transport.fields():
            before = of_transports.get(field.name)
            of_transports[field.name] = (
                _merged(before, field, mode) if before else replace(field, modes=(mode,))
            )
    common = [_common(field, modes) for field in common_fields.FIELDS]
    own = [mode_field([(mode, transport.label or mode) for mode, transport in modes])]
    fields = by_group([*own, *of_transports.values(), *common, *connector.fields()])
    _require_distinct(fields, connector)
    return tuple(fields)


def _common(field: ConfigField, modes: Sequence[tuple[str, type[Transport]]]) -> ConfigField:
    """Return the field with the modes that use it; empty if all do."""
    using = tuple(mode for mode, transport in modes if field.name not in transport.unused_common_fields)
    return field if len(using) == len(modes) else replace(field, modes=using)


def _merged(before: ConfigField, field: ConfigField, mode: str) -> ConfigField:
    """Return one field for a key that several transports have; a form shows it once, with the first one's texts."""
    if (before.type, before.secret, before.purpose) != (field.type, field.secret, field.purpose):
        raise TypeError(
            f"{field.name} of mode {mode} differs in type, secret or purpose from that of {before.modes}"
        )
    return replace(
        before,
        modes=(*before.modes, mode),
        required=before.required and field.required,
        default=before.default if before.default == field.default else None,
    )


def _require_distinct(fields: Iterable[ConfigField], connector: Connector[Any]) -> None:
    names = [field.name for field in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TypeError(f"several parts of a config have {', '.join(twice)}; rename them in {connector.type}")
