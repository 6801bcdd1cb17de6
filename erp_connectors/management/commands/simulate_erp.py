"""Plays the ERP on a dropzone: takes order files, writes ack files."""

import secrets
import signal
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import CommandError
from django.utils import timezone

from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.dropzone_json_v1.connector import DropzoneJsonV1
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import Fault
from erp_connectors.management.acceptance import accept
from erp_connectors.management.reporting import ReportingCommand, positive, require_connection
from erp_connectors.models import ERPConnection
from erp_connectors.registry import open_transport
from erp_connectors.services.acks.shared_folders import foreign_filenames
from erp_connectors.simulated_erp import Behaviour, ErpAction, SimulatedErp
from erp_connectors.transports.base import Transport, TransportPolicy
from erp_connectors.transports.filesystem import FilesystemOptions, FilesystemTransport

LOOK_EVERY = 0.5


class PrintedEvent(msgspec.Struct, frozen=True):
    """An action with its time, as it is printed."""

    at: str
    what: str
    file: str
    detail: str

    def lines(self) -> list[str]:
        return [f"{self.at} {self.what:9} {self.file}" + (f"  {self.detail}" if self.detail else "")]


class Command(ReportingCommand):
    help = (
        "Play the ERP on a dropzone: take order files into the folder 'taken', answer them with ack files. "
        "Without --watch it does one round. Exit code 1 if the dropzone could not be used."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--connection", type=UUID, metavar="ID", help="the dropzone of this connection")
        where.add_argument("--folder", nargs=2, metavar=("EXPORT", "ACK"), help="two folders of this machine")
        how_long = parser.add_mutually_exclusive_group()
        how_long.add_argument("--once", action="store_true", help="one round, answers included (default)")
        how_long.add_argument("--watch", type=positive, metavar="SECONDS", help="a round every so often")
        parser.add_argument(
            "--for", dest="duration", type=positive, metavar="SECONDS", help="end --watch after that"
        )
        for rate, help_ in _RATES.items():
            parser.add_argument(f"--{rate}-rate", type=_rate, default=0.0, metavar="0..1", help=help_)
        parser.add_argument(
            "--delay", type=float, default=0.0, metavar="SECONDS", help="think so long about each"
        )
        parser.add_argument("--seed", default="", help="the same seed answers the same orders alike")
        parser.add_argument(
            "--scenario", type=Path, metavar="FILE",
            help="play named days with test orders over --connection, and print a verdict to sign",
        )  # fmt: skip
        parser.add_argument(
            "--as", dest="actor", metavar="EMAIL", help="who approves and pushes the test orders"
        )
        parser.add_argument(
            "--among-real-orders", action="store_true", help="play on a connection that has sent real orders"
        )
        parser.add_argument(
            "--remove", action="store_true", help="remove taken files instead of keeping them"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["duration"] and not options["watch"]:
            raise CommandError("--for goes with --watch.")
        connection = _understood(options["connection"]) if options["connection"] else None
        if options["scenario"]:
            self.finish(failed=not accept(options, write=self._print))
            return
        transport, dropzone = _place(options)
        leaves = partial(foreign_filenames, connection.org_id) if connection else lambda names: ()
        erp = SimulatedErp(
            transport, dropzone.export_path, dropzone.ack_path, _behaviour(options), leaves=leaves
        )
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            failed = self._run(erp, stopping, options)
        finally:
            transport.close()
        self.finish(failed=failed)

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _run(self, erp: SimulatedErp, stopping: threading.Event, options: dict[str, Any]) -> bool:
        """Return True if there was an error."""
        seen: Counter[str] = Counter()
        end = time.monotonic() + options["duration"] if options["duration"] else None
        while True:
            self._round(erp, seen, as_json=options["json"])
            over = end is not None and time.monotonic() >= end
            if over or (not options["watch"] and (not erp.waiting or seen["error"])):
                break
            if stopping.wait(options["watch"] or min(LOOK_EVERY, max(0.05, options["delay"]))):
                break
        if not options["json"]:
            counts = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
            self.stdout.write(f"ERP: {counts or 'nothing to do'}")
        return bool(seen["error"])

    def _round(self, erp: SimulatedErp, seen: "Counter[str]", *, as_json: bool) -> None:
        try:
            erp.transport.open()
            actions = erp.step(timezone.now())
        except Fault as fault:
            # Whatever broke, the next round starts on a fresh connection.
            erp.transport.close()
            actions = [ErpAction("error", erp.export_path, f"{fault.message} {fault.kind.hint}")]
        for action in actions:
            seen[action.what] += 1
            at = f"{timezone.now():%H:%M:%S}"
            self.show(PrintedEvent(at, action.what, action.file, action.detail), as_json=as_json)


_RATES = {
    "refuse": "share of orders to refuse, with a reason",
    "malformed": "share of answers that are no valid ack file",
    "truncate": "share of answers written in two halves, a second apart",
    "duplicate": "share of answers given twice",
}


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text!r} is no share; write a number from 0 to 1, such as 0.2")
    return value


def _behaviour(options: dict[str, Any]) -> Behaviour:
    return Behaviour(
        refuse_rate=options["refuse_rate"],
        malformed_rate=options["malformed_rate"],
        truncate_rate=options["truncate_rate"],
        duplicate_rate=options["duplicate_rate"],
        delay=options["delay"],
        seed=options["seed"] or secrets.token_hex(4),
        keep=not options["remove"],
    )


def _understood(connection_id: UUID) -> ERPConnection:
    """It would see none of another connector's files, and say that there is nothing to do. Raises `CommandError`."""
    connection = require_connection(connection_id)
    spoken, understood = connection.connector_type, DropzoneJsonV1.type
    if spoken != understood:
        raise CommandError(
            f"The simulated ERP reads and answers the files of {understood}, and this connection is of the type "
            f"{spoken}. Answer its files as its own ERP would, then run poll_acks."
        )
    return connection


def _place(options: dict[str, Any]) -> tuple[Transport, Dropzone]:
    if options["folder"]:
        export_path, ack_path = (str(Path(folder).resolve()) for folder in options["folder"])
        # The ERP is not bound by what OrderFlow's deployment allows OrderFlow.
        policy = TransportPolicy(dropzone_roots=(export_path, ack_path))
        dropzone = Dropzone("filesystem", FilesystemOptions(), export_path, ack_path)
        return FilesystemTransport(FilesystemOptions(), policy), dropzone
    try:
        dropzone = dropzone_of(require_connection(options["connection"]))
        return open_transport(dropzone), dropzone
    except Fault as fault:
        raise CommandError(f"{fault.message} {fault.kind.hint}") from None
