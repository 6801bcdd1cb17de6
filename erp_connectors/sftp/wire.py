"""SFTP version 3 on the wire (draft-ietf-secsh-filexfer-02): requests to bytes, packets to replies. Pure functions."""

import struct
from dataclasses import dataclass

from erp_connectors.sftp.errors import ProtocolViolation, SftpVersionUnsupported, StatusError
from erp_connectors.sftp.redact import Redact
from erp_connectors.sftp.texts import Text, showable

INIT, VERSION, OPEN, CLOSE, READ, WRITE, FSTAT, FSETSTAT = 1, 2, 3, 4, 5, 6, 8, 10
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, STAT, LSTAT, RENAME, EXTENDED = 11, 12, 13, 14, 15, 17, 7, 18, 200
LAST_VERSION = 6
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 101, 102, 103, 104, 105, 201

OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE = 0, 1, 2, 3, 4, 5
NO_CONNECTION, CONNECTION_LOST, OP_UNSUPPORTED = 6, 7, 8
# Version 3 has no such codes, yet servers that also speak later versions send them.
FILE_ALREADY_EXISTS, NO_SPACE, QUOTA_EXCEEDED = 11, 14, 15

F_READ, F_WRITE, F_CREAT, F_TRUNC = 0x01, 0x02, 0x08, 0x10
A_SIZE, A_OWNER, A_PERMISSIONS, A_TIMES, A_EXTENDED = 0x01, 0x02, 0x04, 0x08, 0x80000000

POSIX_RENAME = "posix-rename@openssh.com"
FSYNC = "fsync@openssh.com"
LIMITS = "limits@openssh.com"
STATVFS = "statvfs@openssh.com"
MAX_PACKET = 1 << 18
# As the draft says; a longer one would be sent back with every piece of every file.
MAX_HANDLE = 256
MAX_EXTENSIONS, MAX_EXTENSION = 64, 100

_U32, _U64, _HEAD = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">IBI")
_OFFSET_SIZE = struct.Struct(">QI")


@dataclass(frozen=True, slots=True)
class Request:
    """``data`` follows ``body`` on the wire, uncopied until then.

    The reply to an ``unattended`` request is dropped. The refusal of an ``optional`` one is its reply, not an error.
    """

    kind: int
    body: bytes
    data: memoryview | bytes = b""
    unattended: bool = False
    optional: bool = False

    @property
    def size(self) -> int:
        return 9 + len(self.body) + len(self.data)

    @property
    def handle(self) -> bytes:
        """Return the handle of a CLOSE."""
        return self.body[4:]

    def head(self, request_id: int) -> bytes:
        """The packet up to ``data``."""
        return _HEAD.pack(self.size - 4, self.kind, request_id) + self.body


@dataclass(frozen=True, slots=True)
class Attributes:
    """None: the server did not say."""

    size: int | None = None
    permissions: int | None = None
    mtime: int | None = None


@dataclass(frozen=True, slots=True)
class NamedFile:
    name: str
    attributes: Attributes


# None: done. b"": the end of a file or folder. StatusError: the refusal of an optional request.
Reply = None | bytes | Attributes | tuple[NamedFile, ...] | StatusError


class Reader:
    """Takes values from the front of a packet; raises `ProtocolViolation` beyond its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise ProtocolViolation(Text("ssh.packet_cut_off"))
        taken, self.at = self.data[self.at : end], end
        return taken

    def u32(self) -> int:
        value: int = _U32.unpack(self.take(4))[0]
        return value

    def u64(self) -> int:
        value: int = _U64.unpack(self.take(8))[0]
        return value

    def string(self) -> bytes:
        return self.take(self.u32())

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def string(value: str | bytes) -> bytes:
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return _U32.pack(len(data)) + data


def open_file(path: str, flags: int) -> Request:
    return Request(OPEN, string(path) + _U32.pack(flags) + _U32.pack(0))


def on_handle(kind: int, handle: bytes) -> Request:
    """CLOSE, FSTAT or READDIR."""
    return Request(kind, string(handle))


def on_path(kind: int, path: str, *, optional: bool = False) -> Request:
    """LSTAT, STAT, OPENDIR, REMOVE or RMDIR."""
    return Request(kind, string(path), optional=optional)


def read(handle: bytes, offset: int, size: int) -> Request:
    return Request(READ, string(handle) + _OFFSET_SIZE.pack(offset, size))


def write(handle: bytes, offset: int, data: memoryview | bytes) -> Request:
    return Request(WRITE, string(handle) + _OFFSET_SIZE.pack(offset, len(data)), data)


def close_unattended(handle: bytes) -> Request:
    """Close a handle that was only read from; the result of closing does not matter."""
    return Request(CLOSE, string(handle), unattended=True)


def set_mode(handle: bytes, mode: int) -> Request:
    body = string(handle) + _U32.pack(A_PERMISSIONS) + _U32.pack(mode)
    return Request(FSETSTAT, body, optional=True)


def make_folder(path: str) -> Request:
    return Request(MKDIR, string(path) + _U32.pack(0))


def rename(source: str, target: str) -> Request:
    return Request(RENAME, string(source) + string(target))


def posix_rename(source: str, target: str) -> Request:
    return Request(EXTENDED, string(POSIX_RENAME) + string(source) + string(target))


def fsync(handle: bytes) -> Request:
    return Request(EXTENDED, string(FSYNC) + string(handle), optional=True)


def limits() -> Request:
    return Request(EXTENDED, string(LIMITS))


def statvfs(path: str) -> Request:
    return Request(EXTENDED, string(STATVFS) + string(path))


def hello() -> bytes:
    return _U32.pack(5) + bytes([INIT]) + _U32.pack(3)


def parse_version(packet: bytes) -> dict[str, str]:
    """The server's extensions. Raises `SftpVersionUnsupported` unless it speaks version 3, `ProtocolViolation`."""
    reader = Reader(packet)
    kind, version = reader.take(1)[0], reader.u32()
    if kind != VERSION or not 0 < version <= LAST_VERSION:
        raise ProtocolViolation(Text("ssh.no_version"))
    if version != 3:
        raise SftpVersionUnsupported(Text("ssh.version", version=version))
    extensions: dict[str, str] = {}
    while reader.left:
        name, value = reader.string(), reader.string()
        if len(extensions) < MAX_EXTENSIONS:
            known = showable(name.decode("utf-8", "replace"), MAX_EXTENSION)
            extensions[known] = showable(value.decode("utf-8", "replace"), MAX_EXTENSION)
    return extensions


def parse_reply(kind: int, body: bytes, hide: Redact = str) -> Reply:
    """Return the content of a reply. A status other than OK and EOF is returned as an error, not raised.

    ``hide`` is asked for the server's text before anybody sees it.
    """
    reader = Reader(body)
    if kind == STATUS:
        return _status(reader, hide)
    if kind == HANDLE:
        return _handle(reader)
    if kind == DATA:
        return reader.string()
    if kind == EXTENDED_REPLY:
        return body
    if kind == ATTRS:
        return _attributes(reader)
    if kind == NAME:
        return tuple(_named(reader) for _ in range(reader.u32()))
    raise ProtocolViolation(Text("ssh.packet_of_unknown_type", type=kind))


def _handle(reader: Reader) -> bytes:
    handle = reader.string()
    if len(handle) > MAX_HANDLE:
        raise ProtocolViolation(Text("ssh.handle_size", size=len(handle)))
    return handle


def _status(reader: Reader, hide: Redact) -> Reply:
    code = reader.u32()
    if code in (OK, EOF):
        return None if code == OK else b""
    text = reader.string().decode("utf-8", "replace") if reader.left else ""
    # Cut afterwards: half a secret is not found any more.
    return StatusError(code, hide(text)[:300])


def parse_open_files(reply: Reply) -> int:
    """The most files that may be open together, from an answer to `limits`; 0: the server does not say."""
    if not isinstance(reply, bytes):
        return 0
    reader = Reader(reply)
    reader.take(24)
    return reader.u64() if reader.left else 0


def parse_free_bytes(reply: Reply) -> int | None:
    """Return the free bytes of an unprivileged user from a reply to `statvfs`, or None if unknown."""
    if not isinstance(reply, bytes):
        return None
    reader = Reader(reply)
    _, unit, _, _, free = (reader.u64() for _ in range(5))
    return unit * free


def _named(reader: Reader) -> NamedFile:
    name = reader.string().decode("utf-8", "surrogateescape")
    reader.string()
    return NamedFile(name, _attributes(reader))


def _attributes(reader: Reader) -> Attributes:
    flags = reader.u32()
    size = reader.u64() if flags & A_SIZE else None
    if flags & A_OWNER:
        reader.take(8)
    permissions = reader.u32() if flags & A_PERMISSIONS else None
    mtime = None
    if flags & A_TIMES:
        reader.u32()
        mtime = reader.u32()
    if flags & A_EXTENDED:
        for _ in range(reader.u32()):
            reader.string()
            reader.string()
    return Attributes(size, permissions, mtime)
