"""Operations on files of an open folder, by its descriptor and their plain names."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from erp_connectors.dropzone_paths import folder_of
from erp_connectors.faults import FOLDER_MISSING, NOT_A_FILE, SIZE_MISMATCH, TOO_LARGE, Fault
from erp_connectors.port_types import Entry, Upload
from erp_connectors.transports.base import mode_remark
from orderflow.messages import Message

FILE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# The share has no hard links, or (on Linux) the file belongs to the ERP's user.
LINK_REFUSED = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def require_linked(folder: int, path: str) -> None:
    """Raise `Fault` FOLDER_MISSING if the open folder was deleted: an absence in it proves nothing."""
    if os.fstat(folder).st_nlink == 0:
        raise Fault(FOLDER_MISSING, path=folder_of(path))


def open_own(name: str, folder: int) -> int:
    """Open a file for writing, and make sure that it has no second name (hard link)."""
    flags = os.O_WRONLY | os.O_CREAT | FILE_FLAGS
    fd = os.open(name, flags, 0o666, dir_fd=folder)
    if os.fstat(fd).st_nlink > 1:
        # An attacker may have linked another user's file here, so that we overwrite it.
        os.close(fd)
        os.unlink(name, dir_fd=folder)
        return os.open(name, flags | os.O_EXCL, 0o666, dir_fd=folder)
    return fd


def fill(fd: int, upload: Upload) -> None:
    """Write the content and check its size. Raise `Fault` NOT_A_FILE or SIZE_MISMATCH."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise Fault(NOT_A_FILE, path=upload.path)
    os.ftruncate(fd, 0)
    with os.fdopen(fd, "wb", closefd=False) as file:
        file.write(upload.data)
    size = os.fstat(fd).st_size
    if size != len(upload.data):
        sizes = Message("file.size", size=size, expected=len(upload.data))
        raise Fault(SIZE_MISMATCH, sizes, path=upload.path)


def set_mode(fd: int, upload: Upload) -> set[Message]:
    """Set the permission bits. Return a remark if they differ: a share without them must not stop an order."""
    if upload.mode is None:
        return set()
    with suppress(OSError):
        os.fchmod(fd, upload.mode)
    return {remark} if (remark := mode_remark(upload, os.fstat(fd).st_mode)) else set()


def read_file(name: str, folder: int, *, path: str, max_bytes: int) -> bytes:
    """Return the whole content. Raise `Fault` NOT_A_FILE or TOO_LARGE, or `OSError`."""
    fd = os.open(name, os.O_RDONLY | FILE_FLAGS, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Fault(NOT_A_FILE, path=path)
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(max_bytes + 1)
    finally:
        os.close(fd)
    if len(data) > max_bytes:
        raise Fault(TOO_LARGE, Message("file.too_large", most=max_bytes), path=path)
    return data


def entries(folder: int) -> Iterator[Entry]:
    with os.scandir(folder) as names:
        for name in names:
            with suppress(FileNotFoundError):
                info = name.stat(follow_symlinks=False)
                yield Entry(name.name, info.st_size, int(info.st_mtime), stat.S_ISREG(info.st_mode))


def claim_and_rename(name: str, new_name: str, *, source: int, target: int) -> None:
    """Rename a file that can't be hard-linked, without replacing an existing file.

    An empty file or folder of ours takes the new name first, so the rename replaces nothing else.
    """
    if stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
        os.mkdir(new_name, dir_fd=target)
        release = os.rmdir
    else:
        os.close(os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE_FLAGS, 0o666, dir_fd=target))
        release = os.unlink
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except OSError:
        release(new_name, dir_fd=target)
        raise


def is_one_file(name: str, other: str, source: int, target: int) -> bool:
    return os.path.samestat(
        os.stat(name, dir_fd=source, follow_symlinks=False),
        os.stat(other, dir_fd=target, follow_symlinks=False),
    )
