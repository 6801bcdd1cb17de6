"""Open folders inside the roots that the deployment allows.

A folder is opened component by component from its root, following no link. Files are then reached relative to the open
folder, so what was checked is what is used, even if another process swaps names meanwhile.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath

from erp_connectors.dropzone_paths import is_within
from erp_connectors.faults import DESTINATION_MOVED, FOLDER_MISSING, OUTSIDE_ROOTS, Fault
from erp_connectors.transports.filesystem.errors import fault_of


class Roots:
    def __init__(self, roots: Sequence[str]) -> None:
        self.paths = [os.path.realpath(root) for root in roots]
        self._expected = ""

    @contextmanager
    def at(self, destination: str) -> Iterator[None]:
        before, self._expected = self._expected, destination
        try:
            yield
        finally:
            self._expected = before

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        fd = self._open_folder(path)
        try:
            if self._expected and destination_of(fd) != self._expected:
                raise Fault(DESTINATION_MOVED, path=path)
            yield fd
        finally:
            os.close(fd)

    def _open_folder(self, path: str) -> int:
        try:
            resolved = os.path.realpath(path, strict=True)
            root = next((root for root in self.paths if is_within(resolved, root)), None)
            if root is None:
                raise Fault(OUTSIDE_ROOTS, path=path)
            return _walk_down(root, PurePosixPath(resolved).relative_to(root).parts)
        except (FileNotFoundError, NotADirectoryError):
            # The fault must not reveal if a name outside the roots exists.
            raise Fault(FOLDER_MISSING if self._leads_inside(path) else OUTSIDE_ROOTS, path=path) from None
        except OSError as error:
            raise fault_of(error, path) from error

    def _leads_inside(self, path: str) -> bool:
        try:
            resolved = os.path.realpath(path)
        except OSError:  # a link that vanished before it was read
            return False
        return any(is_within(resolved, root) for root in self.paths)


def destination_of(folder: int) -> str:
    return f"file://{os.fstat(folder).st_ino}"


def _walk_down(root: str, parts: Sequence[str]) -> int:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd
