"""Track the open handles of one channel, to detect a handle that the server gives out twice before it is used."""

from erp_connectors.sftp.errors import HandleReused
from erp_connectors.sftp.texts import Text


class OpenHandles:
    """Open handles, according to the server's replies."""

    def __init__(self) -> None:
        # Handle to the id of the request that closes it; None if no close was sent.
        self._open: dict[bytes, int | None] = {}
        self._folders: set[bytes] = set()
        self.most_files = 0

    @property
    def files(self) -> int:
        return len(self._open) - len(self._folders)

    def begin(self) -> None:
        """Restart ``most_files``: the largest number of files open at once."""
        self.most_files = self.files

    def opened(self, handle: bytes, request_id: int, *, folder: bool) -> None:
        """Raises `HandleReused` if the handle was still open when the server took the request.

        A close that was sent before the open frees its handle, even if its reply comes later.
        """
        if handle in self._open:
            closing = self._open.pop(handle)
            self._folders.discard(handle)
            if closing is None or request_id < closing:
                raise HandleReused(Text("ssh.handle_reused"))
        self._open[handle] = None
        if folder:
            self._folders.add(handle)
        self.most_files = max(self.most_files, self.files)

    def closing(self, handle: bytes, request_id: int) -> None:
        if handle in self._open:
            self._open[handle] = request_id

    def closed(self, handle: bytes, request_id: int) -> None:
        # A handle that was given out again meanwhile stays open.
        if self._open.get(handle) == request_id:
            del self._open[handle]
            self._folders.discard(handle)
