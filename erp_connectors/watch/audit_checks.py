"""Check if the database protects the audit log, for `doctor`."""

from collections.abc import Iterator

from django.db import connection

from erp_connectors.watch.check_results import CheckResult, error, ok
from orderflow.audit import append_only


def audit() -> Iterator[CheckResult]:
    missing = append_only.missing(connection)
    if missing:
        yield error(f"Anybody may change it: {', '.join(missing)} are missing or off.", append_only.REMEDY)
    else:
        yield ok("the database refuses changes of its entries")
