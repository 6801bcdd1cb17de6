"""Printable report of an acceptance test: scenario, promises, result, and a line to sign."""

from collections.abc import Sequence
from datetime import datetime

from erp_connectors.acceptance.scenario import Scenario
from erp_connectors.acceptance.verdict import PROMISES, DayResult
from erp_connectors.services.connections.endpoint import DropzoneAddress

MAX_FINDINGS = 20


def heading(scenario: Scenario, address: DropzoneAddress, *, at: datetime, version: str) -> list[str]:
    where = f"{address.server} {address.folder}".strip()
    keys = [f"Server's host key: {key}" for key in address.host_keys]
    return [
        f"{scenario.title}: {address.connection}",
        f"Dropzone: {where}",
        *keys,
        f"OrderFlow {version}, {at:%Y-%m-%d %H:%M} UTC, seed {scenario.seed}",
        "",
        f"{'day':34}{'orders':>7}{'accepted':>9}{'refused':>8}{'attempts':>9}{'breaks':>7}{'seconds':>8}",
    ]


def line(result: DayResult) -> str:
    mark = "" if result.passed else "  FAILED"
    return (
        f"{result.day[:33]:34}{result.orders:7}{result.accepted:9}{result.refused:8}{result.attempts:9}"
        f"{result.broken_links + result.disk_full:7}{result.seconds:8}{mark}"
    )


def verdict(results: Sequence[DayResult]) -> list[str]:
    lines = [""]
    for promise in PROMISES:
        found = [f"{result.day}: {text}" for result in results for text in result.broken.get(promise, ())]
        lines.append(f"{'NO  ' if found else 'yes '} {promise}")
        lines += [f"       {text}" for text in found[:MAX_FINDINGS]]
        lines += [f"       and {len(found) - MAX_FINDINGS} more"] if len(found) > MAX_FINDINGS else []
    passed = all(result.passed for result in results)
    total = sum(result.orders for result in results)
    lines += ["", f"Verdict: {'PASSED' if passed else 'FAILED'}, {total} orders in {len(results)} days"]
    return (
        [*lines, "", "Accepted by: ____________________________   Date: ______________"] if passed else lines
    )
