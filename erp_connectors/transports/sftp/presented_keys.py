"""Collect all host keys of an SFTP server without logging in to it, but to a jump host in front of it."""

import time

from erp_connectors import faults
from erp_connectors.faults import Fault
from erp_connectors.port_types import MissingKey, PresentedKey, PresentedKeys
from erp_connectors.sftp import errors
from erp_connectors.sftp.keys import HostKey
from erp_connectors.sftp.server_algorithms import Offer
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import answers as sftp_answers
from erp_connectors.transports.sftp.options import SftpOptions
from erp_connectors.transports.sftp.route import Route

# A server shows one key with each connection, of the first of these types that it has.
HOST_KEY_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
# After any other fault, asking for a key of another type is of no use.
ASK_FOR_ANOTHER = (faults.CONNECTION_LOST, faults.SERVER_BUSY, faults.HANDSHAKE_FAILED)
# A server that admits one connection may take a moment to notice that the last one is gone.
BUSY_PAUSE = 1.0


def presented_keys(options: SftpOptions, policy: TransportPolicy) -> PresentedKeys:
    """Return the keys that the server shows. Raise `Fault` if it shows none."""
    inquiry = _Inquiry(Route(options, policy))
    try:
        return inquiry.keys()
    finally:
        inquiry.route.close()


class _Inquiry:
    """Ask for one key type after the other. ``_offer``: the algorithms of the last handshake that got so far."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._offer: Offer | None = None

    def keys(self) -> PresentedKeys:
        shown, missing = dict[HostKey, PresentedKey](), list[MissingKey]()
        for kind in HOST_KEY_TYPES:
            if kind in {key.type for key in shown} or not self._may_offer(kind):
                continue
            try:
                key = self._presented(kind)
            except Fault as fault:
                missing.append(MissingKey(kind, fault))
                if fault.kind not in ASK_FOR_ANOTHER:
                    break
            else:
                shown[key] = PresentedKey(key.type, key.fingerprint, key.line)
        if not shown:
            raise missing[0].fault
        return PresentedKeys(tuple(shown.values()), tuple(missing))

    def _may_offer(self, kind: str) -> bool:
        return self._offer is None or kind in self._offer.host_key_types

    def _presented(self, kind: str) -> HostKey:
        try:
            return self._shown_key(kind)
        except errors.ServerBusy:
            time.sleep(BUSY_PAUSE)
        except errors.SshError as error:
            raise sftp_answers.fault_of(error, "") from None
        try:
            return self._shown_key(kind)
        except errors.SshError as error:
            raise sftp_answers.fault_of(error, "") from None

    def _shown_key(self, kind: str) -> HostKey:
        session = self.route.open()
        try:
            return session.exchange_keys([HostKey(kind, b"")])
        finally:
            self._offer = session.offer or self._offer
            self.route.close_session()
