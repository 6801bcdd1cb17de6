"""Models of existing servers that differ from most others, with files in memory, behind `hostile_server`."""

from dataclasses import dataclass, field, replace

from erp_connectors.sftp import wire
from erp_connectors.sftp.wire import Reader, string
from tests.servers.hostile_sftp import U32, Attacks, Files, attributes, reply, status

BAD_HANDLE = b"Invalid handle"


@dataclass
class StrictFiles(Files):
    """The files of ``shared``, with handles that are invalid after their close. Each channel has its own handles."""

    shared: Files = field(default_factory=Files)
    open: list[tuple[bytes, str]] = field(default_factory=list)
    most_open: int = 0

    def __post_init__(self) -> None:
        self.content, self.folders = self.shared.content, self.shared.folders

    def answer(self, kind: int, request: int, body: bytes) -> bytes:
        if kind in (wire.OPEN, wire.OPENDIR):
            return self._open(kind, request, body)
        if kind in (wire.CLOSE, wire.READ, wire.WRITE, wire.FSTAT, wire.FSETSTAT, wire.READDIR):
            handle = Reader(body).string()
            found = next((one for one in self.open if one[0] == handle), None)
            if found is None:
                return status(request, wire.FAILURE, BAD_HANDLE)
            if kind == wire.CLOSE:
                self.open.remove(found)
                self.listed.discard(handle)
                return status(request, wire.OK)
            self.handles[handle] = found[1]
        return super().answer(kind, request, body)

    def _open(self, kind: int, request: int, body: bytes) -> bytes:
        reader = Reader(body)
        path = reader.string().decode()
        if kind == wire.OPEN and reader.u32() & wire.F_CREAT:
            self.content[path] = bytearray()
        if path not in (self.folders if kind == wire.OPENDIR else self.content):
            return status(request, wire.NO_SUCH_FILE)
        handle = self.new_handle()
        # The latest first, as Erlang keeps them.
        self.open.insert(0, (handle, path))
        self.most_open = max(self.most_open, len(self.open))
        return reply(wire.HANDLE, request, string(handle))

    def new_handle(self) -> bytes:
        taken = {handle for handle, _ in self.open}
        return next(handle for n in range(1 << 20) if (handle := U32.pack(n)) not in taken)


class ErlangFiles(StrictFiles):
    """OTP's ssh_sftpd looks for a free number from the latest handle on, so that with three open it finds one twice."""

    def new_handle(self) -> bytes:
        number = 0
        for handle, _ in self.open:
            if U32.unpack(handle)[0] <= number:
                number = U32.unpack(handle)[0] + 1
        return U32.pack(number)


@dataclass
class Limit:
    """At most so many files may be open on everything that shares it; further ones are refused with ``code``."""

    most: int
    code: int = wire.FAILURE
    count_folders: bool = False
    now: int = 0
    seen: int = 0
    refused: int = 0


@dataclass
class FewFiles(StrictFiles):
    limit: Limit = field(default_factory=lambda: Limit(1))

    def answer(self, kind: int, request: int, body: bytes) -> bytes:
        limit = self.limit
        counted = kind == wire.OPEN or (kind == wire.OPENDIR and limit.count_folders)
        if counted and limit.now >= limit.most:
            limit.refused += 1
            return status(request, limit.code, b"Too many open files")
        before = self._counted()
        answer = super().answer(kind, request, body)
        limit.now += self._counted() - before
        limit.seen = max(limit.seen, limit.now)
        return answer

    def _counted(self) -> int:
        return sum(self.limit.count_folders or path not in self.folders for _, path in self.open)


def few_files(limit: Limit, *, each_channel: bool = False) -> Attacks:
    """Apply the limit to the server, or with ``each_channel`` to each channel."""
    return Attacks(
        files_of=lambda files: FewFiles(shared=files, limit=replace(limit) if each_channel else limit)
    )


def erlang(channels: list[StrictFiles]) -> Attacks:
    """``channels`` gets the files of each channel."""

    def files_of(files: Files) -> Files:
        channels.append(ErlangFiles(shared=files))
        return channels[-1]

    return Attacks(files_of=files_of)


def pkg_sftp() -> Attacks:
    """Go's pkg/sftp: the writes of a handle run in parallel; FSTAT does not wait for them, CLOSE does."""
    return Attacks(
        files_of=lambda files: StrictFiles(shared=files),
        late={wire.WRITE: 0.02},
        wait=frozenset({wire.CLOSE}),
    )


def npm_ssh2() -> Attacks:
    """npm's ssh2 with asynchronous handlers: a close overtakes the writes."""
    return Attacks(files_of=lambda files: StrictFiles(shared=files), late={wire.WRITE: 0.02})


def object_storage() -> Attacks:
    """A file's size is known once the object is stored, a while after the close was asked for."""

    def size(files: Files, request: int, body: bytes) -> bytes | None:
        path = Reader(body).string().decode()
        assert isinstance(files, StrictFiles)
        if path in (name for _, name in files.open):
            return reply(wire.ATTRS, request, attributes(0))
        return None

    return Attacks(
        files_of=lambda files: StrictFiles(shared=files),
        late={wire.CLOSE: 0.02},
        replies={wire.LSTAT: size, wire.STAT: size},
    )
