"""A dropzone on an SFTP server: the engine of `erp_connectors.sftp` behind the Transport port."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import paramiko

from erp_connectors import faults
from erp_connectors.config_fields import ConfigField
from erp_connectors.dropzone_paths import folder_of
from erp_connectors.faults import Fault
from erp_connectors.port_types import Entry, MissingKey, Move, PresentedKey, PresentedKeys, ProbeStep, Upload
from erp_connectors.sftp import errors, operations, session, wire
from erp_connectors.sftp.channels import Channels, Job
from erp_connectors.sftp.keys import HostKey, load_private_key, parse_host_key
from erp_connectors.sftp.limits import LearnedLimits, ServerLimits
from erp_connectors.sftp.operations import is_folder, lstat
from erp_connectors.sftp.pipeline import ResultT, Task
from erp_connectors.sftp.redact import hiding
from erp_connectors.sftp.server_algorithms import Offer
from erp_connectors.sftp.session import Session
from erp_connectors.sftp.wire import Attributes, Named
from erp_connectors.transports.allowed_hosts import AllowedHosts
from erp_connectors.transports.base import (
    Contents,
    Outcomes,
    PlannedKey,
    Presences,
    Renewed,
    Transport,
    TransportPolicy,
)
from erp_connectors.transports.sftp import answers as sftp_answers
from erp_connectors.transports.sftp import config, fields, renewal
from erp_connectors.transports.sftp.absence import confirm_absent
from erp_connectors.transports.sftp.options import SftpOptions
from orderflow import tracing

# More files written at once save a round trip, and cost many times that in fsync on the server's disk.
WRITTEN_AT_ONCE, READ_AT_ONCE = 64, 512
FIRST_FOLDER_READS, FOLDER_READS_AHEAD = 4, 16
# The rest is for the next listing; a server could name files without end.
MAX_NAMES = 1_000_000
# All answers of one listing together may take so many times the time of one.
LISTING_PATIENCE = 10
# A server that counts wrong logins should not meet a key that it does not know yet with every poll.
PLANS_TRIED_EVERY = 600.0
NOT_YET = (errors.LoginRefused, errors.ConnectionLost, errors.KeyUnreadable, errors.SftpUnavailable)
# A server shows one key with each connection, of the first of these types that it has.
HOST_KEY_TYPES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
)  # fmt: skip
# Only then is it worth asking for a key of another type.
ASK_FOR_ANOTHER = (faults.CONNECTION_LOST, faults.SERVER_BUSY, faults.HANDSHAKE_FAILED)
# A server that admits one connection may take a moment to notice that the last one is gone.
BUSY_PAUSE = 1.0


class SftpTransport(Transport):
    label = "SFTP server"
    Options = SftpOptions
    speaks_extensions = True
    opening = (
        ("tcp", "Name lookup and TCP"),
        ("host_key", "SSH handshake and host key"),
        ("login", "Login"),
    )

    @classmethod
    def fields(cls) -> Sequence[ConfigField]:
        return fields.FIELDS

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SftpOptions:
        return config.parse(raw)

    @classmethod
    def renew(cls, raw: Mapping[str, Any], renewed: Renewed, *, today: date) -> dict[str, Any]:
        return renewal.renew(raw, renewed, today=today)

    def __init__(self, options: SftpOptions, policy: TransportPolicy) -> None:
        self._options = options
        self._policy = policy
        self._session: Session | None = None
        self._channels: Channels | None = None
        self._resumed = False
        self._expected = 0
        self._remarks: list[str] = []
        self._server_key = ""
        self._renewed = Renewed()
        self._opened = 0.0
        self._learned = LearnedLimits()
        self._offer: Offer | None = None

    def open_steps(self) -> Iterator[ProbeStep]:
        if self._channels is not None and (not self._resumed or self._answers()):
            return
        self.close()
        actions = (self._connect, self._handshake, self._login)
        for (name, label), action in zip(self.opening, actions, strict=True):
            step = _timed(name, label, action)
            yield step
            if not step.ok:
                self.close()
                return

    def resume(self) -> bool:
        alive = self._session is not None and self._session.alive and not self._wants_to_log_in_anew()
        self._resumed = alive and self._channels is not None and self._channels.broken is None
        self._expected = 0
        return self._resumed

    def _wants_to_log_in_anew(self) -> bool:
        """Whether a planned credential counts by now, only a new connection can tell."""
        planned = bool(self._options.next_ssh_key or self._options.planned_keys)
        return planned and time.monotonic() - self._opened >= PLANS_TRIED_EVERY

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
        self._session = self._channels = None
        self._resumed = False

    def respect(self, limits: ServerLimits) -> None:
        self._learned = LearnedLimits(limits)

    def limits(self) -> ServerLimits:
        return self._learned.now

    def expect(self, files: int) -> None:
        self._expected = files
        if self._channels is not None:
            self._channels.expect(files)

    def remarks(self) -> Sequence[str]:
        return self._remarks

    def offers(self) -> Sequence[str]:
        return sorted(self._require_channels().extensions)

    def server_key(self) -> str:
        return self._server_key

    def renewed(self) -> Renewed:
        return self._renewed

    def presented_keys(self) -> PresentedKeys:
        shown, missing = dict[HostKey, PresentedKey](), list[MissingKey]()
        self._offer = None
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
        try:
            self._connect()
            assert self._session is not None  # noqa: S101  # what connecting makes
            return self._session.exchange_keys([HostKey(kind, b"")])
        finally:
            self._offer = (self._session.offer if self._session else None) or self._offer
            self.close()

    def destination(self, folder: str) -> str:
        return f"sftp://{self._options.username}@{self._options.host}:{self._options.port}"

    def _connect(self) -> str:
        options = self._options
        allowed = AllowedHosts(options.host, self._policy)
        sock = session.connect_tcp(
            allowed.name(), options.port, timeout=options.connect_timeout, allow=allowed.require_address
        )
        self._session = Session(
            sock,
            timeout=options.connect_timeout,
            legacy=options.legacy_algorithms,
            hide=hiding(options.password, options.ssh_key_passphrase),
        )
        return f"{self._session.address} port {options.port}"

    def _handshake(self) -> str:
        assert self._session is not None  # noqa: S101  # the step before
        pinned = [parse_host_key(line) for line in self._options.host_keys]
        today = datetime.now(UTC).date()
        planned = {parse_host_key(one.line): one for one in self._options.planned_keys}
        counting = [key for key, one in planned.items() if one.counts(today)]
        key = self._session.exchange_keys([*pinned, *counting])
        _require_due(key, planned.get(key), today, known=pinned)
        session.require_pinned(key, [*pinned, *counting])
        self._renewed = Renewed(host_key=planned[key].line if key in planned and key not in pinned else "")
        self._server_key = f"{key.type} {key.fingerprint}"
        greeted = f"{self._session.server_version}, {self._server_key}"
        old = ", ".join(self._session.outdated)
        return f"{greeted}. Warning: it needs outdated algorithms ({old})" if old else greeted

    def _login(self) -> str:
        self._opened = time.monotonic()
        try:
            how = self._login_with_next_key() or self._login_as_usual()
        except errors.ChannelsRefused:
            with self._one_channel_from_now_on():
                self.close()
                self._connect()
                self._handshake()
                how = self._login_with_next_key() or self._login_as_usual()
        return f"as {self._options.username} with {how}"

    @contextmanager
    def _one_channel_from_now_on(self) -> Iterator[None]:
        """Remember it unless the block fails: then the link may have been down for another reason."""
        before = self._learned.now
        self._learned.channels(1)
        try:
            yield
        except BaseException:
            self._learned.now = before
            raise

    def _login_as_usual(self) -> str:
        options = self._options
        key = load_private_key(options.ssh_key, options.ssh_key_passphrase) if options.ssh_key else None
        how = self._log_in(key)
        return f"{how}; the server does not accept the new key yet" if options.next_ssh_key else how

    def _login_with_next_key(self) -> str:
        """Empty where there is none, or it does not lead to SFTP yet: the usual login then has its turn."""
        options = self._options
        if not options.next_ssh_key:
            return ""
        try:
            key = load_private_key(options.next_ssh_key, options.ssh_key_passphrase)
            how = self._log_in(key, needs_key=True)
        except errors.ChannelsRefused:
            raise
        except NOT_YET:
            # Some servers hang up after the first wrong key, others take no second login over one connection.
            self.close()
            self._connect()
            self._handshake()
            return ""
        self._renewed = replace(self._renewed, client_key=True)
        return f"the new {how}"

    def _log_in(self, key: paramiko.PKey | None, *, needs_key: bool = False) -> str:
        assert self._session is not None  # noqa: S101  # the step before
        options = self._options
        how = self._session.login(options.username, key=key, password=options.password, needs_key=needs_key)
        self._channels = self._session.open_channels(
            io_timeout=options.io_timeout, expected=self._expected, learned=self._learned
        )
        return how

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        sync = wire.FSYNC in self._require_channels().extensions
        jobs = [partial(operations.put, u.path, u.data, mode=u.mode, sync=sync) for u in uploads]
        self._remarks = []
        try:
            written = self._run_files(jobs, at_once=WRITTEN_AT_ONCE, shared=True)
        except Fault as fault:
            return [fault for _ in uploads]
        pairs = list(zip(uploads, written, strict=True))
        self._remarks = sorted({remark for pair in pairs for remark in sftp_answers.remarks_on(*pair)})
        outcomes = [sftp_answers.written_outcome(upload, file) for upload, file in pairs]
        self._tell_unavailable_folders(uploads, outcomes)
        self._tell_full_disks(uploads, outcomes)
        return outcomes

    def _run_files(
        self, jobs: Sequence[Job[ResultT]], *, at_once: int, shared: bool = False
    ) -> list[ResultT | errors.SshError]:
        """As `Channels.run_files`, in a new session if the server's limits ask for one. Raises `Fault`.

        All jobs run again then. It harms no file: the session before has done nothing, or has answered everything that
        it was asked for, so nothing of it takes effect later. If that is not so, no job counts as done.
        """
        results = self._require_channels().run_files(jobs, at_once=at_once, shared=shared)
        reused = next((result for result in results if isinstance(result, errors.HandleReused)), None)
        if any(isinstance(result, errors.ChannelsRefused) for result in results):
            with self._one_channel_from_now_on():
                self._open_anew()
        elif reused and not self._learned.now.reuses_handles:
            self._learned.reuses_handles()
            if not all(map(_is_answered, results)):
                return [reused] * len(jobs)
            self._open_anew()
        else:
            return results
        return self._run_files(jobs, at_once=at_once, shared=shared)

    def _open_anew(self) -> None:
        self.close()
        self.open()

    def _tell_unavailable_folders(self, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
        """Some servers say FAILURE of a folder that does not exist, and say it of the folder itself, too."""
        unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
        folders = list({folder_of(uploads[i].path) for i in unclear})
        looks = self._require_channels().run(list(map(is_folder, folders))) if folders else []
        failing = {
            folder: look
            for folder, look in zip(folders, looks, strict=True)
            if isinstance(look, errors.StatusError) and look.code in (wire.FAILURE, wire.NO_SUCH_FILE)
        }
        for i in unclear:
            if look := failing.get(folder := folder_of(uploads[i].path)):
                outcomes[i] = sftp_answers.listing_fault(look, folder)

    def _tell_full_disks(self, uploads: Sequence[Upload], outcomes: Outcomes) -> None:
        """OpenSSH says of a full disk no more than FAILURE; asking for the space that is left tells it."""
        unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
        if not unclear or wire.STATVFS not in (channels := self._require_channels()).extensions:
            return
        left = channels.run([operations.free_bytes(folder_of(uploads[i].path)) for i in unclear])
        for i, free in zip(unclear, left, strict=True):
            if isinstance(free, int) and free < len(uploads[i].data):
                outcomes[i] = Fault(faults.DISK_FULL, f"{free} bytes are left.", path=uploads[i].path)

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        channels = self._require_channels()
        outcomes = self._rename(moves, posix=wire.POSIX_RENAME in channels.extensions)
        unproven = [i for i, fault in enumerate(outcomes) if sftp_answers.may_be_absent(fault)]
        confirmed = confirm_absent(channels, [moves[i].source for i in unproven])
        for i, there in zip(unproven, confirmed, strict=True):
            outcomes[i] = sftp_answers.proven_outcome(outcomes[i], moves[i], there)
        return outcomes

    def _move(self, moves: Sequence[Move]) -> Outcomes:
        # Some servers' rename replaces what is there, so each target is looked at first.
        taken = self._look([move.target for move in moves])
        free = [move for move, there in zip(moves, taken, strict=True) if not sftp_answers.is_taken(there)]
        outcomes = self._rename(free, posix=False)
        self._tell_missing_folders([move.target for move in free], outcomes)
        self._tell_missing_folders([move.source for move in free], outcomes)
        renamed = iter(outcomes)
        return [
            sftp_answers.taken_outcome(move, there) if sftp_answers.is_taken(there) else next(renamed)
            for move, there in zip(moves, taken, strict=True)
        ]

    def _rename(self, moves: Sequence[Move], *, posix: bool) -> Outcomes:
        channels = self._require_channels()
        results = channels.run([operations.rename(move.source, move.target, posix=posix) for move in moves])
        outcomes = [
            sftp_answers.renamed_outcome(result, move) for move, result in zip(moves, results, strict=True)
        ]
        self._explain_failures(moves, outcomes)
        return outcomes

    def _explain_failures(self, moves: Sequence[Move], outcomes: Outcomes) -> None:
        """Version 3 says FAILURE for a name that is taken; looking tells it from real trouble."""
        unclear = [i for i, fault in enumerate(outcomes) if fault and fault.kind is faults.REMOTE_FAILURE]
        if unclear:
            targets = self._look([moves[i].target for i in unclear])
            for i, there in zip(unclear, targets, strict=True):
                if there is True:
                    outcomes[i] = Fault(faults.NAME_TAKEN, path=moves[i].target)

    def _exists(self, paths: Sequence[str]) -> Presences:
        channels = self._require_channels()
        looks = channels.run([lstat(path) for path in paths])
        answers = [
            sftp_answers.presence_of(look, path, None) for look, path in zip(looks, paths, strict=True)
        ]
        absent = [i for i, there in enumerate(answers) if there is False]
        confirmed = confirm_absent(channels, [paths[i] for i in absent])
        for i, there in zip(absent, confirmed, strict=True):
            answers[i] = sftp_answers.unstable(paths[i]) if there is True else there
        return answers

    def _look(self, paths: Sequence[str]) -> Presences:
        """Tell a missing file from a missing folder, in one round trip. That proves no absence: see `_exists`."""
        folders = list({folder_of(path) for path in paths})
        looks: list[Task[Attributes | bool]] = [*map(lstat, paths), *map(is_folder, folders)]
        results = self._require_channels().run(looks)
        missing = dict(
            zip(folders, map(sftp_answers.folder_fault, results[len(paths) :], folders), strict=True)
        )
        return [
            sftp_answers.presence_of(result, path, missing[folder_of(path)])
            for path, result in zip(paths, results[: len(paths)], strict=True)
        ]

    def _remove(self, paths: Sequence[str]) -> Presences:
        results = self._require_channels().run([operations.remove(path) for path in paths])
        answers: list[bool | Fault] = [
            fault if (fault := sftp_answers.outcome_of(result, path)) else True
            for path, result in zip(paths, results, strict=True)
        ]
        self._tell_missing_folders(paths, answers)
        return [False if isinstance(a, Fault) and a.kind is faults.NOT_FOUND else a for a in answers]

    def _read(self, paths: Sequence[str], *, max_bytes: int) -> Contents:
        looks = self._require_channels().run([lstat(path) for path in paths])
        contents: list[bytes | Fault] = [
            sftp_answers.unreadable_fault(look, path, max_bytes) or b""
            for look, path in zip(looks, paths, strict=True)
        ]
        good = [i for i, content in enumerate(contents) if not isinstance(content, Fault)]
        jobs = [
            partial(operations.read, paths[i], size=sftp_answers.size_of(looks[i]), max_bytes=max_bytes)
            for i in good
        ]
        try:
            bodies = self._run_files(jobs, at_once=READ_AT_ONCE)
        except Fault as fault:
            return [fault for _ in paths]
        for i, body in zip(good, bodies, strict=True):
            if body is None:
                contents[i] = Fault(faults.TOO_LARGE, f"More than {max_bytes} bytes.", path=paths[i])
            else:
                contents[i] = body if isinstance(body, bytes) else sftp_answers.fault_of(body, paths[i])
        self._tell_missing_folders(paths, contents)
        return contents

    def _list(self, folder: str) -> Iterator[Entry]:
        try:
            with closing(self._names(folder)) as parts:
                # An open folder may count as an open file, and the names are often those of files to be read.
                alone = self._learned.now.files_at_once == 1
                for names in list(parts) if alone else parts:
                    yield from (
                        sftp_answers.entry_of(named) for named in names if named.name not in (".", "..")
                    )
        except errors.SshError as error:
            raise sftp_answers.listing_fault(error, folder) from None

    def _names(self, folder: str) -> Generator[list[Named], None, None]:
        """In parts; the folder is closed before the last of them is handed out. Raises `SshError`."""
        handle = self._open_folder(folder)
        channels = self._require_channels()
        ahead, count, more, waited = FIRST_FOLDER_READS, 0, True, 0.0
        names: list[Named] = []
        try:
            while more and count < MAX_NAMES:
                yield names
                asked = time.monotonic()
                names, more = channels.run_one(operations.next_names(handle, ahead=ahead))
                # Only the server's time counts: what is done with the names meanwhile takes as long as it takes.
                waited = self._require_patience(waited + time.monotonic() - asked)
                ahead, count = FOLDER_READS_AHEAD, count + len(names)
        finally:
            # Also if the reader had enough: a kept session must not pile up open folders.
            if channels.broken is None:
                channels.run_one(operations.close(handle))
        yield names

    def _require_patience(self, waited: float) -> float:
        if waited > LISTING_PATIENCE * self._options.io_timeout:
            raise errors.RequestTimeout(f"the folder's names did not end within {waited:.0f} s")
        return waited

    def _open_folder(self, folder: str) -> bytes:
        channels = self._require_channels()
        (handle,) = channels.run([operations.open_folder(folder)])
        if self._resumed and channels.broken:
            # Listing is its own check of a kept session: looking at a quiet folder costs no more for it.
            self.close()
            (handle,) = self._require_channels().run([operations.open_folder(folder)])
        self._resumed = False
        if isinstance(handle, errors.SshError):
            raise handle
        return handle

    def _make_folder(self, path: str) -> None:
        channels = self._require_channels()
        try:
            channels.run_one(operations.make_folder(path))
        except errors.SshError as error:
            # FAILURE is also version 3's word for "it is there already".
            if not self._is_folder(path):
                fault = sftp_answers.fault_of(error, path)
                raise (
                    Fault(faults.FOLDER_MISSING, path=path) if fault.kind is faults.NOT_FOUND else fault
                ) from None

    def _tell_missing_folders(self, paths: Sequence[str], answers: "Sequence[object] | Outcomes") -> None:
        """Report a missing folder as such. It is asked for later than the file, so this proves no absence."""
        absent = [i for i, a in enumerate(answers) if isinstance(a, Fault) and a.kind is faults.NOT_FOUND]
        folders = list({folder_of(paths[i]) for i in absent})
        results = self._require_channels().run(list(map(is_folder, folders)))
        missing = dict(zip(folders, map(sftp_answers.folder_fault, results, folders), strict=True))
        for i in absent:
            fault = missing[folder_of(paths[i])]
            if fault:
                answers[i] = fault  # type: ignore[index]

    def _is_folder(self, path: str) -> bool:
        (result,) = self._require_channels().run([is_folder(path)])
        return sftp_answers.folder_fault(result, path) is None

    def _answers(self) -> bool:
        assert self._channels is not None  # noqa: S101  # checked before
        self._resumed = False
        return self._channels.answers(lstat("/"))

    def _require_channels(self) -> Channels:
        if self._channels is None:
            self.open()
        if self._channels is None:
            raise Fault(faults.CONNECTION_LOST)
        return self._channels


def _require_due(key: HostKey, planned: PlannedKey | None, today: date, *, known: Sequence[HostKey]) -> None:
    """Says of a planned key out of its time that it is that, which its fingerprint alone does not."""
    if planned is None or key in known or planned.counts(today):
        return
    when = f"from {planned.since}" if planned.since and today < planned.since else f"until {planned.until}"
    raise errors.HostKeyChanged(
        f"It presents {key.type} {key.fingerprint}, which was announced and counts only {when} (UTC)."
    )


def _timed(name: str, label: str, action: Callable[[], str]) -> ProbeStep:
    started = time.perf_counter()
    found, fault = "", None
    try:
        with tracing.span(f"sftp {name}"):
            found = action()
    except Fault as error:
        fault = error
    except errors.SshError as error:
        fault = sftp_answers.fault_of(error, "")
    return ProbeStep(name, label, round((time.perf_counter() - started) * 1000), found, fault)


def _is_answered(result: object) -> bool:
    """False if a request of the job may still be under way on the server."""
    ended = isinstance(result, errors.SshError) and not isinstance(result, errors.StatusError)
    return not ended or (isinstance(result, errors.HandleReused) and result.answered)
