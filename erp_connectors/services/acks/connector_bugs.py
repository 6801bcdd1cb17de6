"""Turn an exception of a connector into a fault of one file, so that the other files are handled."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.faults import INTERNAL_ERROR, Fault

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
        raise Fault(INTERNAL_ERROR, f"{type(error).__name__} in {method}.", path=path) from error
