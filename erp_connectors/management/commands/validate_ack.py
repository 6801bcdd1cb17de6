"""Say what OrderFlow would make of ack files."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from erp_connectors.config_fields import ConfigError
from erp_connectors.connectors.base import Connector
from erp_connectors.management.examining import UNREADABLE, ExaminingCommand
from erp_connectors.services.upkeep.contract import FileCheck, examine_ack


class Command(ExaminingCommand):
    help = (
        "Say what OrderFlow would make of ack files, what is wrong with those it would not understand, and what could "
        "be written better. Nothing is stored or moved. Exit code 0: all are understood; 1: some are not; 2: some "
        "can't be read."
    )

    def examine(self, connector: Connector[Any], name: str, body: bytes) -> FileCheck:
        if len(body) > settings.ACK_MAX_BYTES:
            says = f"{len(body)} bytes; more than {settings.ACK_MAX_BYTES} are not read (ACK_MAX_BYTES)."
            return FileCheck(file=name, fine=False, says=says)
        try:
            return examine_ack(connector, name, body)
        except ConfigError as error:
            raise CommandError(
                f"{connector.type} can't be examined without its config: {error}.", returncode=UNREADABLE
            ) from None
