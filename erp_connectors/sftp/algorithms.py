"""Ciphers and MACs that a session offers: current ones, and outdated ones only if the connection allows them.

What paramiko itself has dropped (SHA-1 key exchange and signatures) is offered to nobody.
"""

from collections.abc import Sequence

import paramiko

from erp_connectors.sftp import key_exchange
from erp_connectors.sftp.server_algorithms import Offer

# Fastest first.
CIPHERS = (
    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr",
)  # fmt: skip
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")


def ciphers(available: Sequence[str], *, legacy: bool) -> tuple[str, ...]:
    """Return those that are available, best first."""
    return _choose(CIPHERS, available, legacy=legacy)


def macs(available: Sequence[str], *, legacy: bool) -> tuple[str, ...]:
    """Return those that are available, best first."""
    return _choose(MACS, available, legacy=legacy)


def outdated(*, cipher: str, mac: str) -> list[str]:
    """Return those that are outdated. An authenticated cipher ignores the MAC."""
    return [*([] if cipher in CIPHERS else [cipher]), *([] if "gcm" in cipher or mac in MACS else [mac])]


def is_only_outdated(offer: Offer) -> bool:
    """Return True if a session would work with the outdated ciphers and MACs, so that allowing them helps."""
    known = paramiko.Transport
    pairs = (
        (offer.key_exchanges, key_exchange.PREFERRED),
        (offer.host_keys, known._preferred_keys),  # type: ignore[attr-defined]  # noqa: SLF001
        (offer.ciphers, known._preferred_ciphers),  # type: ignore[attr-defined]  # noqa: SLF001
        (offer.macs, known._preferred_macs),  # type: ignore[attr-defined]  # noqa: SLF001
    )
    return all({*theirs} & {*ours} for theirs, ours in pairs)


def _choose(modern: Sequence[str], available: Sequence[str], *, legacy: bool) -> tuple[str, ...]:
    wanted = tuple(name for name in modern if name in available)
    return (*wanted, *(name for name in available if name not in wanted)) if legacy else wanted
