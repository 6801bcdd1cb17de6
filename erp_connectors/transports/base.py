"""The Transport port: how a dropzone is reached. Paths and bytes only; no orders, no database.

Every batch call takes many files and answers for each of them in the same order. One file's failure never
fails its neighbours: it is a `Fault` in that file's place. A link that breaks in the middle answers with a
`Fault` for every file whose outcome is not known. Only `open` and `list` raise.

An adapter raises nothing but `Fault`: `transports/front_door.py` turns anything else into INTERNAL_ERROR.
"""

import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

from erp_connectors.config_fields import ConfigField
from erp_connectors.faults import Fault
from erp_connectors.port_types import (
    Entry,
    Guarantee,
    GuaranteeLevel,
    Move,
    PresentedKeys,
    ProbeStep,
    Upload,
)
from erp_connectors.sftp.limits import ServerLimits
from erp_connectors.transports.front_door import (
    GUARDED,
    batch,
    faults_only,
    guard,
    plain_names,
    require_absolute,
)
from erp_connectors.transports.options import (
    Endpoint,
    PlannedKey,
    RenewedCredentials,
    TransportOptions,
    TransportPolicy,
)
from orderflow import tracing
from orderflow.messages import Message

# The port: an author of a transport imports all of these from here.
__all__ = [
    "Contents",
    "Endpoint",
    "Outcomes",
    "PlannedKey",
    "Presences",
    "RenewedCredentials",
    "ServerLimits",
    "Transport",
    "TransportOptions",
    "TransportPolicy",
    "mode_remark",
]

PUBLISHED_BY_RENAME = Guarantee(
    GuaranteeLevel.EXACTLY_ONCE,
    Message("guarantee.published_by_rename"),
)
WRITTEN_UNDER_FINAL_NAME = Guarantee(
    GuaranteeLevel.AT_LEAST_ONCE,
    Message("guarantee.written_under_final_name"),
)

# One answer per file, in the order of the question. (`list` is also the name of a method below.)
Outcomes: TypeAlias = list[Fault | None]
Presences: TypeAlias = list[bool | Fault]
Contents: TypeAlias = list[bytes | Fault]


class Transport(ABC):
    """The validating front door; an adapter implements the methods with a leading underscore.

    The class also declares the keys of its config. `create` calls it with its options and a `TransportPolicy`.
    """

    # What a form calls this mode.
    label: ClassVar[str] = ""
    Options: ClassVar[type[TransportOptions]] = TransportOptions

    def __init__(self, options: Any, policy: TransportPolicy) -> None:
        """Keep ``options`` (of type `Options`); connect only in `open_steps`."""
        raise NotImplementedError

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in GUARDED & vars(cls).keys():
            setattr(cls, name, guard(vars(cls)[name]))

    @classmethod
    def create(cls, options: Any, policy: TransportPolicy) -> Self:
        """Return a transport that is not connected yet."""
        with faults_only(cls, "__init__"):
            return cls(options, policy)

    # Names and labels of all steps that `open_steps` may yield.
    opening: ClassVar[tuple[tuple[str, str], ...]] = ()
    speaks_extensions: ClassVar[bool] = False

    # Keys of the common fields that have no meaning here: not offered, and refused if a config has them.
    unused_common_fields: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def fields(cls) -> Sequence[ConfigField]:
        """Return the transport's own keys. Mode, folders and the way of writing are common to all."""
        return ()

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> TransportOptions:
        """Return the options of a config's own keys, without nulls. Raises `ConfigError` with each wrong key."""
        return cls.Options()

    @classmethod
    def renew(cls, raw: Mapping[str, Any], renewed: RenewedCredentials, *, today: date) -> dict[str, Any]:
        """Return the whole config once the server used what was planned, without the credentials it replaces."""
        return dict(raw)

    def planned_steps(self) -> Sequence[tuple[str, str]]:
        """Return the steps of `opening` that these options take, so that a page can show them before a test."""
        return self.opening

    def open(self) -> None:
        """Connect, or raise the `Fault` that stopped it. Do nothing if already open."""
        with tracing.span("dropzone open"), faults_only(type(self), "open_steps", self):
            for step in self.open_steps():
                if step.fault:
                    raise step.fault

    @abstractmethod
    def open_steps(self) -> Iterator[ProbeStep]:
        """Connect, and yield each step when it is done. Stop after a failed one. Yield nothing if already open."""

    def resume(self) -> bool:
        """Return True if the session is open and no failure of it is known, so that it may be used again later.

        No request is sent. The next `open` or `list` asks the server, and connects again if the session is dead.
        """
        return False

    def remarks(self) -> Sequence[Message]:
        """Return remarks for users on the last `stage` that are no faults."""
        return ()

    def extensions(self) -> Sequence[str]:
        """Return the protocol extensions that the server announced. The transport must be open."""
        return ()

    def server_key(self) -> str:
        """Return type and fingerprint of the host key that the server proved; empty if the protocol has none."""
        return ""

    def renewed(self) -> RenewedCredentials:
        """Return the planned credentials that the last `open` used."""
        return RenewedCredentials()

    def presented_keys(self, field: str = "") -> PresentedKeys:
        """Return every host key of the server, without logging in. Raises `Fault` if it shows none.

        ``field``: the config's key in which they are pinned, if the transport has several such servers on its way.
        """
        return PresentedKeys()

    def respect(self, limits: ServerLimits) -> None:  # noqa: B027  # only servers that are met over a link have any
        """Keep to limits of the server that earlier runs found. Called before `open`."""

    def limits(self) -> ServerLimits:
        """Return the limits of the server that were found earlier or since `open`."""
        return ServerLimits()

    def expect(self, files: int) -> None:  # noqa: B027  # a hint that a transport may ignore
        """Prepare for staging so many files together. Called before `open`."""

    def publish_until(self, moment: float) -> None:  # noqa: B027  # only a server that takes requests with an expiry
        """Let no `publish` take effect after ``moment``, in seconds since the epoch, also if this process freezes.

        Then another worker may hold the lease. A transport whose publication is a rename needs no such limit, because
        the other worker moves or proves absent what would be renamed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release everything; safe at any time and more than once."""

    @abstractmethod
    def destination(self, folder: str) -> str:
        """Return the machine, and the exact folder if it can be identified, that a path refers to; without secrets.

        ``sftp://user@host:22``; ``file://`` and the folder's inode, which an unmounted share's mount point does not
        have.
        """

    def at(self, destination: str) -> AbstractContextManager[None]:
        """Work only in a folder with this `destination` within the block; else DESTINATION_MOVED.

        The check and the work use the same open folder. A server is one destination for as long as it is open.
        """
        return nullcontext()

    def guarantee(self, *, atomic_write: bool) -> Guarantee:
        """Return how often a file may appear, on an open transport. ``atomic_write``: `publish` gives it its name.

        The default follows from the contracts of `stage` and `publish`.
        """
        return PUBLISHED_BY_RENAME if atomic_write else WRITTEN_UNDER_FINAL_NAME

    @abstractmethod
    def _stage(self, uploads: Sequence[Upload]) -> Outcomes: ...
    @abstractmethod
    def _publish(self, moves: Sequence[Move]) -> Outcomes: ...
    @abstractmethod
    def _exists(self, paths: Sequence[str]) -> Presences: ...
    @abstractmethod
    def _list(self, folder: str) -> Iterator[Entry]: ...
    @abstractmethod
    def _read(self, paths: Sequence[str], *, max_bytes: int) -> Contents: ...
    @abstractmethod
    def _move(self, moves: Sequence[Move]) -> Outcomes: ...
    @abstractmethod
    def _remove(self, paths: Sequence[str]) -> Presences: ...
    @abstractmethod
    def _make_folder(self, path: str) -> None: ...

    def stage(self, uploads: Sequence[Upload]) -> Outcomes:
        """Write each file whole, replacing what is there; None once it is written, closed and of the right size.

        A server that tells no size is believed, with a remark.

        An absent or forbidden folder is FOLDER_MISSING or PERMISSION_DENIED, never a file's NOT_FOUND.
        """
        require_absolute(upload.path for upload in uploads)
        return batch(self, "stage", uploads, self._stage)

    def publish(self, moves: Sequence[Move]) -> Outcomes:
        """Rename in one atomic step; never remove the target first.

        NOT_FOUND: the source is proven absent, by a folder that was open meanwhile. A target that exists is NAME_TAKEN,
        or is replaced if the server's rename does that.
        """
        require_absolute(path for move in moves for path in (move.source, move.target))
        return batch(self, "publish", moves, self._publish)

    def exists(self, paths: Sequence[str]) -> Presences:
        """Return True for a file that is there. False: it is proven absent, by a folder that was open meanwhile."""
        require_absolute(paths)
        return batch(self, "exists", paths, self._exists)

    def list(self, folder: str) -> Iterator[Entry]:
        """Yield the names in a folder, in no order. Symlinks are not files. Connects if needed. Raises `Fault`.

        A name that no file can have (with a slash or a NUL, one or two dots, too long for any file system) is left
        out: only an attacker sends it.
        """
        require_absolute([folder])
        return plain_names(self, partial(self._list, folder))

    def read(self, paths: Sequence[str], *, max_bytes: int) -> Contents:
        """Read whole files; NOT_FOUND, NOT_A_FILE, or TOO_LARGE above ``max_bytes`` (no more than that is read).

        NOT_FOUND is the server's word here, in `move` and in `remove`, and proves no absence.
        """
        require_absolute(paths)
        return batch(self, "read", paths, partial(self._read, max_bytes=max_bytes))

    def move(self, moves: Sequence[Move]) -> Outcomes:
        """Rename, never over an existing file: NAME_TAKEN then; NOT_FOUND if the server finds no source."""
        require_absolute(path for move in moves for path in (move.source, move.target))
        return batch(self, "move", moves, self._move)

    def remove(self, paths: Sequence[str]) -> Presences:
        """Remove files. True: this call removed it. False: the server says that there is no such file."""
        require_absolute(paths)
        return batch(self, "remove", paths, self._remove)

    def make_folder(self, path: str) -> None:
        """Create one folder in an existing one, unless it exists. Raises `Fault`."""
        require_absolute([path])
        with faults_only(type(self), "make_folder", self):
            self._make_folder(path)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def mode_remark(upload: Upload, permissions: int | None) -> Message | None:
    """Return a remark if the file has other permission bits than wanted; None if not, or if they are not known."""
    if upload.mode is None or permissions is None or stat.S_IMODE(permissions) == upload.mode:
        return None
    found = f"{stat.S_IMODE(permissions):04o}"
    return Message("remark.file_mode_not_applied", wanted=f"{upload.mode:04o}", mode=found)
