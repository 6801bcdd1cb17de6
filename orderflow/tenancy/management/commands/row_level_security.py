"""The second wall between orgs: how it stands, up, and down."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from orderflow.tenancy import checks
from orderflow.tenancy.rls import install
from orderflow.tenancy.rls.policies import SHARED, undeclared


class Command(BaseCommand):
    help = (
        "Say how the database keeps orgs apart by row-level security, or change that, as the tables' owner. "
        "Exit code 1 where it is not as ROW_LEVEL_SECURITY says."
    )
    # They may be what this is run for.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--apply", action="store_true", help="put every table right; those that are stay untouched"
        )
        what.add_argument("--remove", action="store_true", help="let every table be seen whole again")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("Row-level security is PostgreSQL's; DATABASE_URL names another database.")
        if options["apply"]:
            self._change("protected", install.apply)
        if options["remove"]:
            self._change("open", install.remove)
        standing = self._show()
        if standing:
            sys.exit(1)

    def _change(self, word: str, change: Any) -> None:
        try:
            changed = change(connection)
        except install.NotTheOwner as refused:
            raise CommandError(f"{refused}. Run it with the owner's DATABASE_URL: docs/deploy.md.") from None
        except OperationalError as problem:
            raise CommandError(
                f"Nothing was changed: {problem}".strip() + ". Try again in a quiet moment."
            ) from None
        for table in changed:
            self.stdout.write(f"{table.name}: {word} now")

    def _show(self) -> bool:
        tables = install.table_protections(connection)
        for one in tables:
            said = "; ".join(one.wrong) if one.enforced or checks.is_on() else "open"
            self.stdout.write(f"{one.table.name:36} {said or 'protected'}")
        for label in sorted(SHARED):
            self.stdout.write(f"{label:36} shared: {SHARED[label]}")
        for label in undeclared():
            self.stdout.write(f"{label:36} nobody said whose its rows are")
        role = install.role(connection)
        self.stdout.write(f"role {role.name}: {_said(role)}")
        self.stdout.write(f"ROW_LEVEL_SECURITY is {'on' if checks.is_on() else 'off'}")
        return any(one.wrong for one in tables) if checks.is_on() else any(one.enforced for one in tables)


def _said(role: install.RoleProtection) -> str:
    if role.bypass:
        return f"no policy binds it, as it is or may become {', '.join(role.bypass)}"
    return (
        f"bound, but the owner of {len(role.owner_of)} tables" if role.owner_of else "bound, and owns nothing"
    )
