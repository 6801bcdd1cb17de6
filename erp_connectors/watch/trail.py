"""The audit log: protected, sealed, and whole at its end. For `doctor`."""

from collections.abc import Iterator
from datetime import timedelta

from django.db import connection

from erp_connectors.watch.findings import Finding, error, ok, some, warning
from orderflow import clock
from orderflow.audit import append_only, sealing
from orderflow.audit.verifying import recently_sealed, verify

SEALED_LATE = timedelta(minutes=15)
LOOKED_AT = 100


def audit() -> Iterator[Finding]:
    """The newest seals only; `verify_audit` reads all."""
    missing = append_only.missing(connection)
    if missing:
        yield error(f"Anybody may change it: {', '.join(missing)} are missing or off.", append_only.REMEDY)
    tail = sealing.tail()
    if tail.oldest and clock.now() - tail.oldest > SEALED_LATE:
        yield warning(
            f"{some(tail.entries, 'entry is', 'entries are')} not sealed yet, "
            f"the oldest since {tail.oldest:%Y-%m-%d %H:%M} UTC.",
            "Workers seal: see what the check of them says. Now: manage.py verify_audit --seal",
        )
    chains = recently_sealed()
    for chain in chains:
        if bad := verify(chain, last=LOOKED_AT).bad:
            where = f"no. {bad.seq}, entry {bad.entry_id or 'unknown'}"
            yield error(
                f"Chain {chain.org_id or '-'} is broken at {where}: {bad.what}",
                "Keep the database and the log as they are; docs/security/audit.md says what to do.",
            )
    yield ok(f"the ends of {some(len(chains), 'chain', 'chains')} were read")
