"""Run `simulate_erp --scenario`: choose the connection and the acting user, and print the results."""

from collections.abc import Callable
from typing import Any

import msgspec
from django.core.management.base import CommandError
from django.utils import timezone

from erp_connectors.acceptance import report
from erp_connectors.acceptance.runner import CUSTOMER, play
from erp_connectors.acceptance.scenario import BadScenario, load
from erp_connectors.acceptance.verdict import DayResult
from erp_connectors.faults import Fault
from erp_connectors.management.reporting import require_connection
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.services.connections.endpoint import address_of
from erp_connectors.states import ConnectionStatus
from orderflow import __version__
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role

UNREACHABLE = 2


def accept(options: dict[str, Any], *, write: Callable[[str], None]) -> bool:
    """Return True if every day passed. Raise `CommandError` if the test can't run."""
    if not options["connection"]:
        raise CommandError(
            "--scenario needs --connection: it creates test orders and pushes them over that connection."
        )
    try:
        scenario = load(options["scenario"])
    except BadScenario as error:
        raise CommandError(str(error)) from None
    connection = _test_connection(options)
    actor = _acting_user(connection, options["actor"])

    def show(result: DayResult) -> None:
        write(msgspec.json.encode(result).decode() if options["json"] else report.line(result))

    if not options["json"]:
        head = report.heading(scenario, address_of(connection), at=timezone.now(), version=__version__)
        write("\n".join(head))
    try:
        results = play(scenario, connection, actor=actor, done=show)
    except Fault as fault:
        raise CommandError(f"{fault.message} {fault.kind.hint}", returncode=UNREACHABLE) from None
    if not options["json"]:
        write("\n".join(report.verdict(results)))
    return all(result.passed for result in results)


def _test_connection(options: dict[str, Any]) -> ERPConnection:
    connection = require_connection(options["connection"])
    if connection.status != ConnectionStatus.ACTIVE:
        raise CommandError("The connection is disabled; activate it first.")
    real = ERPExport.objects.filter(connection=connection).exclude(draft_order__customer__name=CUSTOMER)
    if real.exists() and not options["among_real_orders"]:
        raise CommandError(
            "This connection has sent real orders. The real ERP would take the test orders, and this program would "
            "take real ones. Use a separate connection, or add --among-real-orders while the real ERP is off."
        )
    return connection


def _acting_user(connection: ERPConnection, email: str | None) -> User:
    users = User.objects.filter(org=connection.org_id, is_active=True)
    if email:
        user = users.by_email(email).first()
        if user is None:
            raise CommandError(f"{connection.org} has no user with the address {email}.")
        return user
    user = users.filter(role__in=(Role.ADMIN, Role.OPS)).order_by("date_joined", "pk").first()
    if user is None:
        raise CommandError(
            f"{connection.org} has no user who may approve orders; name a user with --as EMAIL."
        )
    return user
