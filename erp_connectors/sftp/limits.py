"""Limits of a server, found while working with it."""

from dataclasses import dataclass, replace
from typing import TypeGuard

from erp_connectors.sftp import wire
from erp_connectors.sftp.errors import StatusError

# Refusals to open a file that have a reason of their own. Servers with too many open files use any other code.
OTHER_REASONS = frozenset(
    {
        wire.NO_SUCH_FILE,
        wire.NO_CONNECTION,
        wire.CONNECTION_LOST,
        wire.OP_UNSUPPORTED,
        wire.FILE_ALREADY_EXISTS,
        wire.NO_SPACE,
        wire.QUOTA_EXCEEDED,
    }
)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """None: no limit was met.

    ``files_open``: at most so many files open together. ``channels``: at most so many channels of one connection.
    ``reuses_handles``: the server gives two open files the same handle, so only one may be open at a time.
    """

    files_open: int | None = None
    channels: int | None = None
    reuses_handles: bool = False

    @property
    def files_at_once(self) -> int | None:
        return 1 if self.reuses_handles else self.files_open

    @property
    def channels_at_once(self) -> int | None:
        # The limit of open files may count for a connection, a user or the server.
        return self.channels if self.files_at_once is None else 1


class LearnedLimits:
    """The limits of one server as they are known so far; they only ever get tighter."""

    def __init__(self, known: ServerLimits | None = None) -> None:
        self.now = known or ServerLimits()

    def files_open(self, at_most: int) -> None:
        self.now = replace(self.now, files_open=min(at_most, self.now.files_open or at_most))

    def channels(self, at_most: int) -> None:
        self.now = replace(self.now, channels=min(at_most, self.now.channels or at_most))

    def reuses_handles(self) -> None:
        self.now = replace(self.now, reuses_handles=True)


def may_be_a_limit(result: object) -> TypeGuard[StatusError]:
    """True for a refusal to open a file that too many open files may explain."""
    return isinstance(result, StatusError) and result.open_already >= 0 and result.code not in OTHER_REASONS
