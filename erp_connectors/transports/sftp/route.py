"""Connect to an SFTP server directly, or through a jump host or proxy. Each part is a step of the connection test.

The address of a jump host or proxy is checked as that of a server is. The server's name is looked up by the jump host
or proxy, see `AllowedHosts.name_behind_hop`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from erp_connectors.sftp import errors
from erp_connectors.sftp.keys import load_private_key, parse_host_key
from erp_connectors.sftp.login import LoginMethod
from erp_connectors.sftp.proxies import ProxyLogin, connect_by_http, connect_by_socks
from erp_connectors.sftp.redact import Redact, redactor
from erp_connectors.sftp.session import Session, require_pinned
from erp_connectors.sftp.tcp import PatientSocket, connect_tcp, host_and_port
from erp_connectors.sftp.texts import Text
from erp_connectors.transports.allowed_hosts import AllowedHosts
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp.options import HopKind, HopOptions, SftpOptions
from orderflow.messages import Message

TCP = ("tcp", "Name lookup and TCP")
HOP_TCP = ("via_tcp", "Jump host or proxy: name lookup and TCP")
HOP_HOST_KEY = ("via_host_key", "Jump host: SSH handshake and host key")
HOP_LOGIN = ("via_login", "Jump host: login")
FORWARD = ("forward", "Connection through the jump host or proxy")
ALL_STEPS = (HOP_TCP, HOP_HOST_KEY, HOP_LOGIN, FORWARD, TCP)

Action = tuple[tuple[str, str], Callable[[], Message]]

# By whether a key and a password were accepted.
_LOGINS = {
    (True, False): "login.key",
    (True, True): "login.key_and_password",
    (False, True): "login.password",
    (False, False): "login.nothing",
}


class Route:
    """Open sessions with the server, one after the other; a jump host's own session is kept between them.

    ``session``: the session that was opened last, before its handshake.
    """

    def __init__(self, options: SftpOptions, policy: TransportPolicy) -> None:
        self._options = options
        self._policy = policy
        self._jump: Session | None = None
        self._proxy: PatientSocket | None = None
        self.session: Session | None = None

    @property
    def steps(self) -> Sequence[tuple[str, str]]:
        return [step for step, _ in self.actions()]

    def actions(self) -> Sequence[Action]:
        """Return the steps to a new session, each with the function that does it. Each raises `Fault` or `SshError`."""
        hop = self._options.hop
        if hop is None:
            return [(TCP, self._connect)]
        if hop.kind is not HopKind.JUMP_HOST:
            return [(HOP_TCP, self._connect_to_proxy), (FORWARD, self._connect_by_proxy)]
        forward: Action = (FORWARD, self._forward)
        if self._jump is not None and self._jump.alive:
            return [forward]
        return [
            (HOP_TCP, self._connect_to_jump_host),
            (HOP_HOST_KEY, self._check_jump_host),
            (HOP_LOGIN, self._log_in_to_jump_host),
            forward,
        ]

    def open(self) -> Session:
        """Do all steps. Raises `Fault`, `SshError`; what is open then stays until `close`."""
        for _, action in self.actions():
            action()
        assert self.session is not None  # noqa: S101  # the last action
        return self.session

    @property
    def alive(self) -> bool:
        """Return False if the jump host's session has ended. A proxy's connection is that of the server's session."""
        return self._jump is None or self._jump.alive

    def close_session(self) -> None:
        """Close the server's session, and leave that of the jump host open."""
        if self.session is not None:
            self.session.close()
        self.session = None

    def close(self) -> None:
        self.close_session()
        if self._jump is not None:
            self._jump.close()
        if self._proxy is not None:
            self._proxy.close()
        self._jump = self._proxy = None

    def _connect(self) -> Message:
        options = self._options
        self.session = self._session(self._tcp(options.host, options.port))
        return Message("test.connected", address=self.session.address, port=options.port)

    def _connect_to_jump_host(self) -> Message:
        hop = self._hop
        self.close()
        with _naming(hop):
            self._jump = self._session(self._tcp(hop.host, hop.port))
        return Message("test.connected", address=self._jump.address, port=hop.port)

    def _check_jump_host(self) -> Message:
        with _naming(self._hop):
            jump, pinned = self._require_jump(), [parse_host_key(line) for line in self._hop.host_keys]
            key = jump.exchange_keys(pinned)
            require_pinned(key, pinned)
        return greeting_of(jump, f"{key.type} {key.fingerprint}")

    def _log_in_to_jump_host(self) -> Message:
        hop = self._hop
        with _naming(hop):
            key = load_private_key(hop.ssh_key, hop.ssh_key_passphrase) if hop.ssh_key else None
            how = self._require_jump().login(hop.username, key=key, password=hop.password)
        return login_message(how, hop.username)

    def _forward(self) -> Message:
        name = self._name_behind_hop()
        with _naming(self._hop):
            stream = self._require_jump().forward(
                name, self._options.port, io_timeout=self._options.io_timeout
            )
        self.session = self._session(stream)
        return Message("test.forwarded", address=host_and_port(name, self._options.port))

    def _connect_to_proxy(self) -> Message:
        hop = self._hop
        self.close()
        with _naming(hop):
            sock = self._proxy = self._tcp(hop.host, hop.port)
        return Message("test.connected", address=str(sock.getpeername()[0]), port=hop.port)

    def _connect_by_proxy(self) -> Message:
        hop, options, name = self._hop, self._options, self._name_behind_hop()
        assert self._proxy is not None  # noqa: S101  # the step before
        login = ProxyLogin(hop.username, hop.password) if hop.username and hop.password else None
        with _naming(hop):
            if hop.kind is HopKind.HTTP_PROXY:
                connect_by_http(
                    self._proxy,
                    name,
                    options.port,
                    login=login,
                    timeout=options.connect_timeout,
                    hide=self._hide,
                )
            else:
                connect_by_socks(
                    self._proxy, name, options.port, login=login, timeout=options.connect_timeout
                )
        self.session = self._session(self._proxy, peer=(name, options.port))
        self._proxy = None
        return Message("test.forwarded", address=host_and_port(name, options.port))

    def _tcp(self, host: str, port: int) -> PatientSocket:
        allowed = AllowedHosts(host, self._policy)
        return connect_tcp(
            allowed.name(), port, timeout=self._options.connect_timeout, allow=allowed.require_address
        )

    def _name_behind_hop(self) -> str:
        return AllowedHosts(self._options.host, self._policy).name_behind_hop()

    def _session(self, sock: Any, peer: tuple[str, int] | None = None) -> Session:
        options = self._options
        return Session(
            sock,
            timeout=options.connect_timeout,
            legacy=options.legacy_algorithms,
            hide=self._hide,
            peer=peer,
        )

    @property
    def _hide(self) -> Redact:
        options, hop = self._options, self._options.hop
        secrets = [options.password, options.ssh_key_passphrase]
        if hop is not None:
            secrets += [hop.password, hop.ssh_key_passphrase]
            secrets += [ProxyLogin(hop.username, hop.password).basic] if hop.password else []
        return redactor(*secrets)

    @property
    def _hop(self) -> HopOptions:
        assert self._options.hop is not None  # noqa: S101  # its steps are taken only with one
        return self._options.hop

    def _require_jump(self) -> Session:
        if self._jump is None:
            raise errors.ConnectionLost(Text("ssh.not_connected"))
        return self._jump


def login_message(how: LoginMethod, user: str, **notes: Message) -> Message:
    """Return how the login succeeded."""
    known = {"key": how.key} if how.key else {}
    return Message(_LOGINS[bool(how.key), how.password], user=user, **known, **notes)


def greeting_of(session: Session, key: str) -> Message:
    """Return what a handshake found. ``key``: type and fingerprint of the server's key."""
    found = {"server": session.server_version, "key": key}
    if session.outdated:
        found["outdated"] = ", ".join(session.outdated)
    return Message("test.greeted", **found)


@contextmanager
def _naming(hop: HopOptions) -> Iterator[None]:
    """Add the address of the jump host or proxy to each error."""
    code = "ssh.at_jump_host" if hop.kind is HopKind.JUMP_HOST else "ssh.at_proxy"
    try:
        yield
    except errors.SshError as error:
        raise type(error)(Text(code, address=hop.address), *error.texts) from None
