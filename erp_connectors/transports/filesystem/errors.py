"""Map errors of the operating system to faults."""

import errno

from erp_connectors.faults import (
    DISK_FULL,
    NAME_TAKEN,
    NOT_A_FILE,
    NOT_FOUND,
    PERMISSION_DENIED,
    REMOTE_FAILURE,
    Fault,
    FaultKind,
)

FAULT_OF_ERRNO: dict[int, FaultKind] = {
    errno.ENOENT: NOT_FOUND,
    errno.EEXIST: NAME_TAKEN,
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EFBIG: DISK_FULL,
    errno.EACCES: PERMISSION_DENIED,
    errno.EPERM: PERMISSION_DENIED,
    errno.EROFS: PERMISSION_DENIED,
    errno.EISDIR: NOT_A_FILE,
    errno.ELOOP: NOT_A_FILE,
    errno.ENXIO: NOT_A_FILE,
}


def fault_of(error: OSError, path: str) -> Fault:
    """Return the fault of an `OSError`; REMOTE_FAILURE for an unknown errno."""
    kind = FAULT_OF_ERRNO.get(error.errno or 0, REMOTE_FAILURE)
    return Fault(kind, f"{error.strerror}.", path=path)
