"""Replace the old credential in a config after the server used the planned one.

A planned host key counts from its first day to its last, both included, in UTC. On its first use it becomes the pinned
one; the old one stays until the same last day, where there is one, and goes at once where there is none.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from erp_connectors.transports.base import RenewedCredentials

_PLANNED = ("next_host_key", "next_host_key_from", "next_host_key_until")
_OLD = ("old_host_key", "old_host_key_until")


def renew(raw: Mapping[str, Any], renewed: RenewedCredentials, *, today: date) -> dict[str, Any]:
    """The same config where nothing planned was used."""
    new = dict(raw)
    if renewed.client_key and raw.get("next_ssh_key"):
        new["ssh_key"] = raw["next_ssh_key"]
        _forget(new, "next_ssh_key", "ssh_key_expires")
    if renewed.host_key and renewed.host_key in key_lines(raw.get("next_host_key")):
        _turn_over(new, today)
    return new


def key_lines(text: str | None) -> tuple[str, ...]:
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())


def _turn_over(new: dict[str, Any], today: date) -> None:
    old, until = new.get("host_key"), new.get("next_host_key_until")
    new["host_key"] = new["next_host_key"]
    _forget(new, *_PLANNED, *_OLD, "host_key_expires")
    if old and until and date.fromisoformat(until) >= today:
        new |= {"old_host_key": old, "old_host_key_until": until}


def _forget(config: dict[str, Any], *names: str) -> None:
    for name in names:
        config.pop(name, None)
