"""The config's keys about a jump host or proxy, and their checks."""

from collections.abc import Iterator, Mapping
from typing import Any

from erp_connectors.transports.sftp.fields import DIRECT, FIELDS, VIA
from erp_connectors.transports.sftp.options import HopKind, HopOptions
from erp_connectors.transports.sftp.renewal import key_lines
from orderflow.messages import Message

DEFAULT_PORTS = {HopKind.JUMP_HOST: 22, HopKind.HTTP_PROXY: 3128, HopKind.SOCKS5_PROXY: 1080}
CHOICES = (DIRECT, *HopKind)
MAX_SOCKS_FIELD = 255
_CONDITIONS = {field.name: field.applies_if for field in FIELDS if field.applies_if}


def hop_options(values: Mapping[str, Any]) -> HopOptions | None:
    """Return the jump host or proxy of a checked config; None if it has none."""
    if (via := values.get(VIA, DIRECT)) == DIRECT:
        return None
    kind = HopKind(via)
    return HopOptions(
        kind=kind,
        host=values["via_host"],
        port=values.get("via_port", DEFAULT_PORTS[kind]),
        username=values.get("via_username", ""),
        host_keys=key_lines(values.get("via_host_key")),
        password=values.get("via_password"),
        ssh_key=values.get("via_ssh_key"),
        ssh_key_passphrase=values.get("via_ssh_key_passphrase"),
    )


def hop_problems(values: Mapping[str, Any], known: Mapping[str, Message]) -> dict[str, Message]:
    """Return the problem of each key; ``known`` are those of keys that have no value because of them."""
    via, there = values.get(VIA, DIRECT), {*values, *known}
    if VIA in known:
        return {}
    problems = {
        name: Message("config.of_other_choice", key=key, choices=" / ".join(choices))
        for name, (key, choices) in _CONDITIONS.items()
        if name in there and via not in choices
    }
    if via == DIRECT:
        return problems
    required = ["via_host", *(["via_username"] if via == HopKind.JUMP_HOST else [])]
    problems |= {name: Message("config.needed_with_hop", via=via) for name in required if name not in there}
    return dict(_credential_problems(HopKind(via), values, there)) | problems


def _credential_problems(
    via: HopKind, values: Mapping[str, Any], there: set[str]
) -> Iterator[tuple[str, Message]]:
    if via == HopKind.JUMP_HOST:
        if not {"via_password", "via_ssh_key"} & there:
            yield "via_password", Message("config.hop_no_credential")
        return
    login = {"via_username", "via_password"}
    if len(login & there) == 1:
        yield next(iter(login - there)), Message("config.hop_login_incomplete")
    if via == HopKind.HTTP_PROXY and ":" in values.get("via_username", ""):
        yield "via_username", Message("config.no_colon")
    for name in sorted(login & values.keys()) if via == HopKind.SOCKS5_PROXY else ():
        if len(values[name].encode(errors="replace")) > MAX_SOCKS_FIELD:
            yield name, Message("config.too_long_for_socks")
