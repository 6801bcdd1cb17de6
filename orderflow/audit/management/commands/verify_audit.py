"""Has anybody changed the audit log?"""

import sys
from argparse import ArgumentParser
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from orderflow.audit import append_only, sealing
from orderflow.audit.chain import name_of
from orderflow.audit.sealing import Chosen
from orderflow.audit.verifying import Anchor, chains, org_named, verify
from orderflow.tenancy.models import Org


class Command(BaseCommand):
    help = (
        "Read the audit log's hash chains and name the first entry of each that was changed, removed, put in or moved. "
        "Exit code 1 where there is one, or where the tables' triggers are missing. Changes nothing without --seal."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--org", metavar="ORG", help="only this one: slug, id, or - for entries of no org"
        )
        parser.add_argument(
            "--anchor",
            action="append",
            default=[],
            metavar="ORG:SEQ:HASH",
            help="the chain must have this, as an audit.sealed line of the log said; may be repeated",
        )
        parser.add_argument("--seal", action="store_true", help="first seal what is not sealed yet")
        parser.add_argument(
            "--restore-triggers",
            action="store_true",
            help="first make missing triggers again, as the tables' owner",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = Chosen(_org(options["org"])) if options["org"] else None
        anchors = [_anchor(text) for text in options["anchor"]]
        if options["restore_triggers"]:
            append_only.protect(connection, *append_only.TABLES)
        if options["seal"]:
            _seal()
        broken = False
        for chain in [chosen] if chosen else chains():
            report = verify(chain, anchors)
            broken = broken or report.bad is not None
            if report.sealed or report.unsealed or report.bad or chosen:
                lines = [msgspec.json.encode(report).decode()] if options["json"] else report.lines()
                self.stdout.write("\n".join(lines))
        broken = self._protection(as_json=options["json"]) or broken
        if broken:
            sys.exit(1)
        if not options["json"]:
            self.stdout.write("Nothing was changed, as far as the chains tell.")

    def _protection(self, *, as_json: bool) -> bool:
        missing = append_only.missing(connection)
        if missing and as_json:
            self.stdout.write(msgspec.json.encode({"missing_triggers": missing}).decode())
        elif missing:
            self.stdout.write(f"Triggers are missing or off: {', '.join(missing)}. {append_only.REMEDY}")
        return bool(missing)


def _seal() -> None:
    more = True
    while more:
        sealed = sealing.seal(everything=True)
        more = sealed.more and not sealed.busy


def _org(text: str) -> Any:
    try:
        return org_named(text)
    except Org.DoesNotExist:
        raise CommandError(
            f"There is no org {text!r}. Write its slug, its id, or - for entries of no org."
        ) from None


def _anchor(text: str) -> Anchor:
    """Raises `CommandError` for what can't be one."""
    org, _, rest = text.partition(":")
    seq, _, hashed = rest.partition(":")
    if not seq.isascii() or not seq.isdecimal() or len(hashed) != 64:
        raise CommandError(f"{text!r} is no anchor: copy ORG:SEQ:HASH from an audit.sealed line of the log.")
    return Anchor(name_of(_org(org)), int(seq), hashed.lower())
