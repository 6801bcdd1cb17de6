"""Connect and log in to one SFTP server: TCP, host key, login, channels. Keep the limits that were found meanwhile."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime

import paramiko

from erp_connectors.faults import Fault
from erp_connectors.port_types import ProbeStep
from erp_connectors.sftp import errors
from erp_connectors.sftp.channels import Channels
from erp_connectors.sftp.keys import HostKey, load_private_key, parse_host_key
from erp_connectors.sftp.limits import LearnedLimits
from erp_connectors.sftp.login import LoginMethod
from erp_connectors.sftp.operations import lstat
from erp_connectors.sftp.session import Session, require_pinned
from erp_connectors.sftp.texts import Text
from erp_connectors.transports.base import PlannedKey, RenewedCredentials, TransportPolicy
from erp_connectors.transports.sftp import answers as sftp_answers
from erp_connectors.transports.sftp.options import SftpOptions
from erp_connectors.transports.sftp.route import Action, Route, greeting_of, login_message
from orderflow import tracing
from orderflow.messages import Message

HANDSHAKE = ("host_key", "SSH handshake and host key")
LOGIN = ("login", "Login")
# A server that counts failed logins should not see a key that it does not know yet with every poll.
PLANS_TRIED_EVERY = 600.0
NOT_YET = (errors.LoginRefused, errors.ConnectionLost, errors.KeyUnreadable, errors.SftpUnavailable)


class ServerLink:
    """A session with one server, and its channels while it is open.

    ``resumed``: the session was kept, and nothing has shown yet that the server still answers.
    """

    def __init__(self, options: SftpOptions, policy: TransportPolicy) -> None:
        self._options = options
        self._policy = policy
        self._route = Route(options, policy)
        self._session: Session | None = None
        self._opened = 0.0
        self.channels: Channels | None = None
        self.resumed = False
        self._expected = 0
        self.learned = LearnedLimits()
        self.server_key = ""
        self.renewed = RenewedCredentials()

    def open_steps(self) -> Iterator[ProbeStep]:
        """Do what `Transport.open_steps` says."""
        if self.channels is not None and (not self.resumed or self._answers()):
            return
        self.close()
        for (name, label), action in self._actions():
            step = _timed(name, label, action)
            yield step
            if not step.ok:
                self.close()
                return

    @property
    def steps(self) -> Sequence[tuple[str, str]]:
        """Return the steps to a new session, if none fails."""
        return [step for step, _ in self._actions()]

    def _actions(self) -> Sequence[Action]:
        return [*self._route.actions(), (HANDSHAKE, self._handshake), (LOGIN, self._login)]

    def resume(self) -> bool:
        """Do what `Transport.resume` says."""
        alive = self._session is not None and self._session.alive and self._route.alive
        alive = alive and not self._wants_to_log_in_anew()
        self.resumed = alive and self.channels is not None and self.channels.broken is None
        self._expected = 0
        return self.resumed

    def _wants_to_log_in_anew(self) -> bool:
        """Return True if it is time to try a planned credential, which takes a new connection."""
        planned = bool(self._options.next_ssh_key or self._options.planned_keys)
        return planned and time.monotonic() - self._opened >= PLANS_TRIED_EVERY

    def close(self) -> None:
        self._route.close()
        self._session = self.channels = None
        self.resumed = False

    def expect(self, files: int) -> None:
        self._expected = files
        if self.channels is not None:
            self.channels.expect(files)

    def _answers(self) -> bool:
        assert self.channels is not None  # noqa: S101  # checked before
        self.resumed = False
        return self.channels.answers(lstat("/"))

    def _connect_anew(self) -> None:
        """Connect up to the login, with a new session of a jump host as well."""
        self.close()
        self._route.open()
        self._handshake()

    def _handshake(self) -> Message:
        self._session = self._route.session
        assert self._session is not None  # noqa: S101  # the step before
        pinned = [parse_host_key(line) for line in self._options.host_keys]
        today = datetime.now(UTC).date()
        planned = {parse_host_key(one.line): one for one in self._options.planned_keys}
        counting = [key for key, one in planned.items() if one.counts(today)]
        key = self._session.exchange_keys([*pinned, *counting])
        _require_due(key, planned.get(key), today, known=pinned)
        require_pinned(key, [*pinned, *counting])
        self.renewed = RenewedCredentials(
            host_key=planned[key].line if key in planned and key not in pinned else ""
        )
        self.server_key = f"{key.type} {key.fingerprint}"
        return greeting_of(self._session, self.server_key)

    def _login(self) -> Message:
        self._opened = time.monotonic()
        try:
            how = self._login_with_next_key() or self._login_as_usual()
        except errors.ChannelsRefused:
            with self.one_channel_from_now_on():
                self._connect_anew()
                how = self._login_with_next_key() or self._login_as_usual()
        return how

    @contextmanager
    def one_channel_from_now_on(self) -> Iterator[None]:
        """Use one channel from now on, unless the block fails: then the link may be down for another reason."""
        before = self.learned.now
        self.learned.channels(1)
        try:
            yield
        except BaseException:
            self.learned.now = before
            raise

    def _login_as_usual(self) -> Message:
        options = self._options
        key = load_private_key(options.ssh_key, options.ssh_key_passphrase) if options.ssh_key else None
        how = self._log_in(key)
        note = {"note": Message("login.new_key_not_accepted")} if options.next_ssh_key else {}
        return login_message(how, options.username, **note)

    def _login_with_next_key(self) -> Message | None:
        """Log in with the next key. Return None if there is none or the server does not accept it yet."""
        options = self._options
        if not options.next_ssh_key:
            return None
        try:
            key = load_private_key(options.next_ssh_key, options.ssh_key_passphrase)
            how = self._log_in(key, needs_key=True)
        except errors.ChannelsRefused:
            raise
        except NOT_YET:
            # Some servers hang up after the first wrong key, others take no second login over one connection.
            self._connect_anew()
            return None
        self.renewed = replace(self.renewed, client_key=True)
        code = "login.new_key_and_password" if how.password else "login.new_key"
        return Message(code, user=options.username, key=how.key)

    def _log_in(self, key: paramiko.PKey | None, *, needs_key: bool = False) -> LoginMethod:
        assert self._session is not None  # noqa: S101  # the step before
        options = self._options
        how = self._session.login(options.username, key=key, password=options.password, needs_key=needs_key)
        self.channels = self._session.open_channels(
            io_timeout=options.io_timeout, expected=self._expected, learned=self.learned
        )
        return how


def _require_due(key: HostKey, planned: PlannedKey | None, today: date, *, known: Sequence[HostKey]) -> None:
    """Raise `HostKeyChanged` if the key is a planned one that does not count today."""
    if planned is None or key in known or planned.counts(today):
        return
    early = planned.since if planned.since and today < planned.since else None
    raise errors.HostKeyChanged(
        Text(
            "ssh.counts_from" if early else "ssh.counts_until",
            key=f"{key.type} {key.fingerprint}",
            day=str(early or planned.until),
        )
    )


def _timed(name: str, label: str, action: Callable[[], Message]) -> ProbeStep:
    started = time.perf_counter()
    found: Message | None = None
    fault: Fault | None = None
    try:
        with tracing.span(f"sftp {name}"):
            found = action()
    except Fault as error:
        fault = error
    except errors.SshError as error:
        fault = sftp_answers.fault_of(error, "")
    return ProbeStep(name, label, round((time.perf_counter() - started) * 1000), found, fault)
