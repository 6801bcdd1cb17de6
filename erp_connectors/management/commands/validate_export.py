"""Hold order files against the published schema."""

from typing import Any

from erp_connectors.connectors.base import Connector
from erp_connectors.management.examining import ExaminingCommand
from erp_connectors.services.upkeep.contract import FileCheck, examine_export


class Command(ExaminingCommand):
    help = (
        "Hold order files against the published JSON Schema, such as those you made yourself to test an ERP with. "
        "Exit code 0: all are valid; 1: some are not; 2: some can't be read."
    )

    def examine(self, connector: Connector[Any], name: str, body: bytes) -> FileCheck:
        return examine_export(connector, name, body)
