"""The first thing to run when something is wrong."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import msgspec
from django.core.management.base import BaseCommand

from erp_connectors.management.reporting import each
from erp_connectors.models import ERPConnection
from erp_connectors.states import ConnectionStatus
from erp_connectors.watch import audit_checks, deployment, retention, traffic
from erp_connectors.watch.check_results import Check, CheckResult, Level, ok, run_all, some
from erp_connectors.watch.readiness_checks import PARTS

FIRST: dict[str, Check] = {"settings": deployment.settings_as_checked, "disk": deployment.disk}
FOUNDATION: dict[str, Check] = {name: PARTS[name] for name in ("database", "migrations")}
REST: dict[str, Check] = {
    **{name: check for name, check in PARTS.items() if name not in FOUNDATION},
    "pooler": deployment.pooler,
    "keys": deployment.keys,
    "clock": deployment.clocks,
    "connections": traffic.connections,
    "exports": traffic.exports,
    "audit": audit_checks.audit,
    "retention": retention.retention,
}


class Command(BaseCommand):
    help = (
        "Check everything and say what to do; changes nothing. Exit code 0: nothing is broken, though there may be "
        "warnings; 1: something is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")
        parser.add_argument(
            "--connections",
            action="store_true",
            help="also test every active connection's dropzone: a test file is written there and removed",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        broken = warnings = 0
        for finding in _findings(reach=options["connections"]):
            broken += finding.level is Level.ERROR
            warnings += finding.level is Level.WARNING
            self._show(finding, as_json=options["json"])
        if not options["json"]:
            self.stdout.write(_verdict(broken, warnings))
        if broken:
            sys.exit(1)

    def _show(self, finding: CheckResult, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(msgspec.json.encode(finding).decode())
        else:
            style = {
                Level.OK: self.style.SUCCESS,
                Level.WARNING: self.style.WARNING,
                Level.ERROR: self.style.ERROR,
            }[finding.level]
            self.stdout.write(f"{style(f'{finding.level:8}')} {finding.check:12} {finding.what}")
            if finding.to_do:
                self.stdout.write(f"{'':21} -> {finding.to_do}")
        self.stdout.flush()


def _findings(*, reach: bool) -> Iterator[CheckResult]:
    """Without a database, or with another one than this code's, the rest would only say the same thing again."""
    yield from run_all(FIRST)
    for finding in run_all(FOUNDATION):
        yield finding
        if finding.level is Level.ERROR:
            return
    rest = dict(REST)
    if reach:
        rest["reachability"] = _reachability
    yield from run_all(rest)


def _reachability() -> Iterable[CheckResult]:
    rows = ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE).select_related("org")
    known = {row.pk: row for row in rows}
    if not known:
        return [ok("there is no active connection")]
    found = each(list(known), partial(_reach, known))
    return [finding for one in found for finding in one.findings]


class _Reached(msgspec.Struct):
    findings: list[CheckResult]

    def lines(self) -> list[str]:
        return [finding.what for finding in self.findings]


def _reach(known: dict[Any, ERPConnection], connection_id: Any) -> _Reached:
    return _Reached(traffic.reachability(known[connection_id]))


def _verdict(broken: int, warnings: int) -> str:
    warned = some(warnings, "warning", "warnings")
    if broken:
        problems = some(broken, "problem", "problems")
        return f"\n{problems} and {warned}. Begin with the first problem."
    return f"\nNothing is broken; {warned}." if warnings else "\nAll is well."
