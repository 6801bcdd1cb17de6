"""Turn an exception of a connector into a fault of one file, so that the other files are handled."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.faults import INTERNAL_ERROR, Fault, exception_in

log = structlog.get_logger(__name__)


@contextmanager
def as_fault(method: str, path: str, *, quiet: bool = False) -> Iterator[None]:
    """Raise `Fault` INTERNAL_ERROR if this method of a connector raises what its port does not allow.

    The traceback is logged unless ``quiet``.
    """
    try:
        yield
    except (AckUnreadable, Fault):
        raise
    except Exception as error:
        if not quiet:
            log.exception("connector.internal_error", method=method, path=path)
        raise Fault(INTERNAL_ERROR, exception_in(method, error), path=path) from error
