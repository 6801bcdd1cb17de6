"""A dropzone on an SFTP server: the engine of `erp_connectors.sftp` behind the Transport port.

`server_link` connects and logs in, `answers` says what the server's answers mean, `explain` asks about unclear ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from functools import partial
from typing import Any

from erp_connectors import faults
from erp_connectors.config_fields import ConfigField
from erp_connectors.dropzone_paths import folder_of
from erp_connectors.faults import Fault
from erp_connectors.port_types import Entry, Move, PresentedKeys, ProbeStep, Upload
from erp_connectors.sftp import errors, operations, wire
from erp_connectors.sftp.channels import Channels, Job
from erp_connectors.sftp.limits import LearnedLimits, ServerLimits
from erp_connectors.sftp.operations import is_folder, lstat
from erp_connectors.sftp.pipeline import ResultT
from erp_connectors.transports.base import (
    Contents,
    Outcomes,
    Presences,
    RenewedCredentials,
    Transport,
    TransportPolicy,
)
from erp_connectors.transports.sftp import answers as sftp_answers
from erp_connectors.transports.sftp import config, explain, fields, renewal
from erp_connectors.transports.sftp.absence import confirm_absent
from erp_connectors.transports.sftp.listing import names_in
from erp_connectors.transports.sftp.options import SftpOptions
from erp_connectors.transports.sftp.presented_keys import presented_keys
from erp_connectors.transports.sftp.route import ALL_STEPS
from erp_connectors.transports.sftp.server_link import HANDSHAKE, LOGIN, ServerLink
from orderflow.messages import Message

# More files written at once save a round trip, and cost many times that in fsync on the server's disk.
WRITTEN_AT_ONCE, READ_AT_ONCE = 64, 512


class SftpTransport(Transport):
    label = "SFTP server"
    Options = SftpOptions
    speaks_extensions = True
    opening = (*ALL_STEPS, HANDSHAKE, LOGIN)

    @classmethod
    def fields(cls) -> Sequence[ConfigField]:
        return fields.FIELDS

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SftpOptions:
        return config.parse(raw)

    @classmethod
    def renew(cls, raw: Mapping[str, Any], renewed: RenewedCredentials, *, today: date) -> dict[str, Any]:
        return renewal.renew(raw, renewed, today=today)

    def __init__(self, options: SftpOptions, policy: TransportPolicy) -> None:
        self._options = options
        self._policy = policy
        self._link = ServerLink(options, policy)
        self._remarks: list[Message] = []

    def planned_steps(self) -> Sequence[tuple[str, str]]:
        return self._link.steps

    def open_steps(self) -> Iterator[ProbeStep]:
        return self._link.open_steps()

    def resume(self) -> bool:
        return self._link.resume()

    def close(self) -> None:
        self._link.close()

    def respect(self, limits: ServerLimits) -> None:
        self._link.learned = LearnedLimits(limits)

    def limits(self) -> ServerLimits:
        return self._link.learned.now

    def expect(self, files: int) -> None:
        self._link.expect(files)

    def remarks(self) -> Sequence[Message]:
        return self._remarks

    def extensions(self) -> Sequence[str]:
        return sorted(self._require_channels().extensions)

    def server_key(self) -> str:
        return self._link.server_key

    def renewed(self) -> RenewedCredentials:
        return self._link.renewed

    def presented_keys(self, field: str = "") -> PresentedKeys:
        # A server may admit one connection.
        self.close()
        options = self._options.jump_host() if field == "via_host_key" else self._options
        return presented_keys(options, self._policy)

    def destination(self, folder: str) -> str:
        at = self._options.endpoint()
        # Behind another jump host or proxy, the same name may be another machine.
        return f"sftp://{at.user}@{at.host}:{at.port}" + (f" via {at.via}" if at.via else "")

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        sync = wire.FSYNC in self._require_channels().extensions
        jobs = [partial(operations.put, u.path, u.data, mode=u.mode, sync=sync) for u in uploads]
        self._remarks = []
        try:
            written = self._run_files(jobs, at_once=WRITTEN_AT_ONCE, shared=True)
        except Fault as fault:
            return [fault for _ in uploads]
        pairs = list(zip(uploads, written, strict=True))
        found = {remark for pair in pairs for remark in sftp_answers.remarks_on(*pair)}
        self._remarks = sorted(found, key=lambda remark: remark.code)
        outcomes = [sftp_answers.written_outcome(upload, file) for upload, file in pairs]
        explain.refused_writes(self._require_channels(), uploads, outcomes)
        explain.late_sizes(self._require_channels(), uploads, written, outcomes)
        return outcomes

    def _run_files(
        self, jobs: Sequence[Job[ResultT]], *, at_once: int, shared: bool = False
    ) -> list[ResultT | errors.SshError]:
        """Do what `Channels.run_files` says, in a new session if the server's limits require one. Raises `Fault`.

        All jobs run again then. It harms no file: the session before has done nothing, or has answered everything that
        it was asked for, so nothing of it takes effect later. If that is not so, no job counts as done.
        """
        results = self._require_channels().run_files(jobs, at_once=at_once, shared=shared)
        reused = next((result for result in results if isinstance(result, errors.HandleReused)), None)
        if any(isinstance(result, errors.ChannelsRefused) for result in results):
            with self._link.one_channel_from_now_on():
                self._open_anew()
        elif reused and not self._link.learned.now.reuses_handles:
            self._link.learned.reuses_handles()
            if not all(map(_is_answered, results)):
                return [reused] * len(jobs)
            self._open_anew()
        else:
            return results
        return self._run_files(jobs, at_once=at_once, shared=shared)

    def _open_anew(self) -> None:
        self.close()
        self.open()

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
        taken = explain.look_up(self._require_channels(), [move.target for move in moves])
        free = [move for move, there in zip(moves, taken, strict=True) if not sftp_answers.is_taken(there)]
        outcomes = self._rename(free, posix=False)
        explain.missing_folders(self._require_channels(), [move.target for move in free], outcomes)
        explain.missing_folders(self._require_channels(), [move.source for move in free], outcomes)
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
        explain.refused_renames(channels, moves, outcomes)
        return outcomes

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

    def _remove(self, paths: Sequence[str]) -> Presences:
        results = self._require_channels().run([operations.remove(path) for path in paths])
        answers: list[bool | Fault] = [
            fault if (fault := sftp_answers.outcome_of(result, path)) else True
            for path, result in zip(paths, results, strict=True)
        ]
        explain.missing_folders(self._require_channels(), paths, answers)
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
                contents[i] = Fault(
                    faults.TOO_LARGE, Message("file.too_large", most=max_bytes), path=paths[i]
                )
            else:
                contents[i] = body if isinstance(body, bytes) else sftp_answers.fault_of(body, paths[i])
        explain.missing_folders(self._require_channels(), paths, contents)
        return contents

    def _list(self, folder: str) -> Iterator[Entry]:
        try:
            channels, handle = self._open_folder(folder)
            with closing(names_in(channels, handle, io_timeout=self._options.io_timeout)) as parts:
                # An open folder may count as an open file, and the names are often those of files to be read.
                alone = self._link.learned.now.files_at_once == 1
                for names in list(parts) if alone else parts:
                    yield from (
                        sftp_answers.entry_of(named) for named in names if named.name not in (".", "..")
                    )
        except errors.SshError as error:
            raise sftp_answers.listing_fault(error, folder) from None

    def _open_folder(self, folder: str) -> tuple[Channels, bytes]:
        """Raises `SshError`."""
        channels = self._require_channels()
        (handle,) = channels.run([operations.open_folder(folder)])
        if self._link.resumed and channels.broken:
            # Listing is its own check of a kept session: looking at a quiet folder costs no more for it.
            self.close()
            channels = self._require_channels()
            (handle,) = channels.run([operations.open_folder(folder)])
        self._link.resumed = False
        if isinstance(handle, errors.SshError):
            raise handle
        return channels, handle

    def _make_folder(self, path: str) -> None:
        channels = self._require_channels()
        try:
            channels.run_one(operations.make_folder(path))
        except errors.SshError as error:
            # FAILURE is also version 3's word for "it is there already".
            if not self._is_folder(path):
                fault = sftp_answers.fault_of(error, path)
                raise (
                    Fault(faults.FOLDER_MISSING, path=folder_of(path))
                    if fault.kind is faults.NOT_FOUND
                    else fault
                ) from None

    def _is_folder(self, path: str) -> bool:
        (result,) = self._require_channels().run([is_folder(path)])
        return sftp_answers.folder_fault(result, path) is None

    def _require_channels(self) -> Channels:
        if self._link.channels is None:
            self.open()
        if self._link.channels is None:
            raise Fault(faults.CONNECTION_LOST)
        return self._link.channels


def _is_answered(result: object) -> bool:
    """False if a request of the job may still be under way on the server."""
    ended = isinstance(result, errors.SshError) and not isinstance(result, errors.StatusError)
    return not ended or (isinstance(result, errors.HandleReused) and result.answered)
