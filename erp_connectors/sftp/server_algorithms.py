"""Algorithms that a server offers, from its first SSH packet."""

from dataclasses import dataclass

from erp_connectors.sftp.errors import ProtocolViolation
from erp_connectors.sftp.texts import Text
from erp_connectors.sftp.wire import Reader

KEXINIT = 20
COOKIE_BYTES = 16
MAX_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Offer:
    """Offered algorithms. Ciphers and MACs are those from client to server; the other direction repeats them."""

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]

    @property
    def host_key_types(self) -> tuple[str, ...]:
        """The types of its keys. RSA's two signatures are of one type; the one with SHA-1 is not used."""
        usable = [name for name in self.host_keys if name != "ssh-rsa"]
        return tuple(dict.fromkeys("ssh-rsa" if name.startswith("rsa-sha2-") else name for name in usable))

    @property
    def text(self) -> Text:
        return Text(
            "ssh.offers",
            key_exchanges=_shown(self.key_exchanges),
            host_keys=_shown(self.host_keys),
            ciphers=_shown(self.ciphers),
            macs=_shown(self.macs),
        )


def parse_offer(packet: bytes) -> Offer:
    """Read the payload of a KEXINIT packet. Raises `ProtocolViolation`."""
    reader = Reader(packet)
    if reader.take(1)[0] != KEXINIT:
        raise ProtocolViolation(Text("ssh.no_algorithms"))
    reader.take(COOKIE_BYTES)
    key_exchanges, host_keys, ciphers, _, macs = (_names(reader.string()) for _ in range(5))
    return Offer(key_exchanges, host_keys, ciphers, macs)


def _names(text: bytes) -> tuple[str, ...]:
    plain = "".join(c for c in text.decode("ascii", "replace") if c.isascii() and c.isprintable())
    return tuple(name for name in plain.split(",") if name)


def _shown(names: tuple[str, ...]) -> str:
    text = ", ".join(names)
    return (f"{text[:MAX_SHOWN]}…" if len(text) > MAX_SHOWN else text) or "-"
