"""A master key for ENCRYPTION_MASTER_KEY."""

from typing import Any

from django.core.management.base import BaseCommand

from orderflow.secrets.crypto import MasterKey


class Command(BaseCommand):
    help = "Print a new master key of 256 random bits as 64 hex digits; nothing is stored."
    # Nor is anything checked: a deployment lacks just this key when it is run.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(MasterKey.generate().hex)
