"""Share the output (readable lines or JSON) and the exit code of commands that do one round."""

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.db import connection as database

from erp_connectors.models import ERPConnection
from erp_connectors.states import ConnectionStatus

AT_ONCE = 8


class Report(Protocol):
    def lines(self) -> list[str]: ...


ReportT = TypeVar("ReportT", bound=Report)


class ReportingCommand(BaseCommand):
    """Print reports. Exit with code 1 if any of them has an error."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line instead of text")

    def show(self, report: Report, *, as_json: bool) -> None:
        lines = [msgspec.json.encode(report).decode()] if as_json else report.lines()
        for line in lines:
            self.stdout.write(line)
        self.stdout.flush()

    def finish(self, *, failed: bool) -> None:
        if failed:
            sys.exit(1)


class ConnectionsCommand(ReportingCommand):
    """One round over one connection or over all active ones; with ``--watch`` a round every so often."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--connection", type=UUID, metavar="ID", help="only this one; default: all active ones"
        )
        parser.add_argument(
            "--watch", type=positive, metavar="SECONDS", help="again every so often, until Ctrl-C"
        )

    def rounds(
        self, options: dict[str, Any], work: Callable[[UUID], ReportT], failed: Callable[[ReportT], bool]
    ) -> None:
        any_failed = True
        try:
            while True:
                reports = each(chosen_connections(options["connection"]), work)
                any_failed = any(failed(report) for report in reports)
                for report in reports:
                    self.show(report, as_json=options["json"])
                if not reports and not options["json"]:
                    self.stdout.write("There is no active connection; nothing to do.")
                if options["watch"] is None:
                    break
                time.sleep(options["watch"])
        except KeyboardInterrupt:
            return
        except OperationalError as error:
            raise CommandError(
                f"The database can't be reached: {str(error).strip()}. Nothing is lost: the next round finishes what "
                "this one began."
            ) from None
        self.finish(failed=any_failed)


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ArgumentTypeError(f"{text!r} can't be used; write a number above 0")
    return value


def chosen_connections(connection_id: UUID | None) -> list[UUID]:
    """Raises `CommandError` for an id that does not exist."""
    if connection_id is None:
        active = ERPConnection.objects.filter(status=ConnectionStatus.ACTIVE)
        return list(active.order_by("created_at").values_list("pk", flat=True))
    require_connection(connection_id)
    return [connection_id]


def require_connection(connection_id: UUID) -> ERPConnection:
    connection = ERPConnection.objects.select_related("org").filter(pk=connection_id).first()
    if connection is None:
        raise CommandError(
            f"There is no connection {connection_id}. The admin lists them under ERP dropzone."
        )
    return connection


def each(connection_ids: Sequence[UUID], work: Callable[[UUID], ReportT]) -> list[ReportT]:
    """Work on connections in parallel, so that a slow one does not delay the others."""
    if len(connection_ids) < 2:
        return [work(connection_id) for connection_id in connection_ids]

    def in_thread(connection_id: UUID) -> ReportT:
        try:
            return work(connection_id)
        finally:
            database.close()

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        # Each takes the caller's context along, and with it whose rows may be seen.
        contexts = [copy_context() for _ in connection_ids]
        return list(pool.map(lambda one, context: context.run(in_thread, one), connection_ids, contexts))
