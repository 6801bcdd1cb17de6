"""Checks of the deployment, for `doctor`: settings, keys, disk, clocks."""

import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import connection
from django.utils import timezone

from erp_connectors.services.connections.key_rotation import rotation_status
from erp_connectors.watch import metrics_access
from erp_connectors.watch.check_results import CheckResult, error, ok, some, warning
from orderflow.pooler import Pooling, detect

LITTLE, VERY_LITTLE = 2 * 1024**3, 200 * 1024**2
CLOCKS_MAY_DIFFER = timedelta(seconds=5)


def settings_as_checked() -> Iterator[CheckResult]:
    """Run Django's own checks, in production also those for a deployment."""
    found = checks.run_checks(include_deployment_checks=not settings.DEVELOPMENT)
    for message in found:
        if message.level < checks.WARNING:
            continue
        make = error if message.level >= checks.ERROR else warning
        yield make(f"{message.msg} ({message.id})", message.hint or "See docs/settings.md.")
    if not settings.DEVELOPMENT and not metrics_access.is_open():
        yield warning(
            "Nobody can read /metrics.", "Set METRICS_TOKEN, and let Prometheus watch: docs/monitoring.md."
        )
    yield ok("development" if settings.DEVELOPMENT else "production")


def pooler() -> Iterator[CheckResult]:
    """Report a connection pooler in front of the database, and its mode."""
    pooling = detect(connection)
    if pooling is Pooling.NONE:
        yield ok("none between this program and the database")
    elif pooling is Pooling.SESSION:
        yield ok("in session mode, as far as can be seen")
    else:
        yield ok("in transaction mode, which works, also with ROW_LEVEL_SECURITY")


def keys() -> Iterator[CheckResult]:
    """Check that each connection's settings are sealed with a known key.

    The check of a connection reports settings that can't be decrypted.
    """
    found = rotation_status()
    if found.finished:
        yield ok(
            f"key {found.key} seals all {sum(found.by_key.values())} connections, notifications and second factors"
        )
    else:
        older = sum(count for key, count in found.by_key.items() if key != found.key)
        yield warning(
            f"{some(older, 'row is', 'rows are')} sealed with another key than {found.key}.",
            "Finish the rotation: manage.py rotate_encryption_key",
        )


def disk() -> Iterator[CheckResult]:
    folders = [_existing(Path(str(one))) for one in (settings.VAR, *settings.DROPZONE_ROOTS)]
    # Report one folder per disk.
    for folder in {one.stat().st_dev: one for one in reversed(folders)}.values():
        free = shutil.disk_usage(folder).free
        told = f"{free / 1024**3:.1f} GB are free at {folder}"
        if free < LITTLE:
            make = error if free < VERY_LITTLE else warning
            yield make(told, "Make room: files and rows can't be written to a full disk.")
        else:
            yield ok(told)


def clocks() -> Iterator[CheckResult]:
    off = _database_clock()
    if abs(off) > CLOCKS_MAY_DIFFER.total_seconds():
        yield warning(
            f"The database's clock differs from this machine's by {abs(off):.0f} s.",
            "Let all hosts take the time from an NTP server. Leases and due times go by the database's clock, but "
            "logs, file names and the audit log show the host's.",
        )
    yield ok(f"this machine: {timezone.now():%Y-%m-%d %H:%M:%S} UTC")


def _database_clock() -> float:
    """Seconds it is ahead; SQLite has none of its own."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (theirs,) = cursor.fetchone()
    return float(theirs) - time.time()


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
