"""Play a scenario on one connection: orders in, the ERP at the dropzone's other end, and everything that goes wrong."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.utils import timezone

from erp_connectors.acceptance.fault_injection import FaultInjectingTransport, FaultPlan
from erp_connectors.acceptance.scenario import Scenario, ScenarioDay
from erp_connectors.acceptance.verdict import DayResult, DayRun, evaluate_day
from erp_connectors.dropzones import dropzone_of
from erp_connectors.faults import CONFIG_INVALID, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.registry import open_transport, wrap_transports
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.acks.shared_folders import foreign_filenames
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push, retry_push
from erp_connectors.sessions import session_pool
from erp_connectors.simulated_erp import Behaviour, SimulatedErp
from erp_connectors.states import ExportStatus, FailedAs
from erp_connectors.transports.base import Transport
from orderflow.messages import Message
from orderflow.orders.approval import approve
from orderflow.orders.drafting import create_draft
from orderflow.orders.models import Customer
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User

CUSTOMER = "Acceptance test"
PAUSE = 0.1


@dataclass(slots=True)
class _CurrentDay:
    connection: ERPConnection
    actor: User
    day: ScenarioDay
    erp: SimulatedErp
    orders: list[UUID] = field(default_factory=list)


def play(
    scenario: Scenario, connection: ERPConnection, *, actor: User, done: Callable[[DayResult], None]
) -> list[DayResult]:
    """Run each day, and call ``done`` with its result. Raise `Fault` if the dropzone can't be reached at all."""
    dropzone = dropzone_of(connection)
    if not dropzone.ack_path:
        raise Fault(CONFIG_INVALID, Message("acceptance.no_ack_folder"))
    with open_transport(dropzone) as transport:
        for folder in (dropzone.export_path, dropzone.ack_path):
            next(transport.list(folder), None)
    results = []
    for number, day in enumerate(scenario.days):
        result = _run_day(scenario, connection, actor, day, seed=f"{scenario.seed}-{number}")
        done(result)
        results.append(result)
    return results


def _run_day(
    scenario: Scenario, connection: ERPConnection, actor: User, day: ScenarioDay, *, seed: str
) -> DayResult:
    fault_plan = FaultPlan(day.lost, day.disk_full, random.Random(seed))  # noqa: S311  # repeatable, not secret
    dropzone = dropzone_of(connection)
    started = time.monotonic()
    with ExitStack() as stack:
        erps_own = stack.enter_context(open_transport(dropzone))
        erp = SimulatedErp(
            erps_own,
            dropzone.export_path,
            dropzone.ack_path,
            _behaviour(day, seed),
            leaves=partial(foreign_filenames, connection.org_id),
        )
        # Kept sessions are closed before, as they have no fault plan, and after, as no other run may use theirs.
        stack.callback(session_pool.close, connection.pk)
        stack.enter_context(wrap_transports(_under(fault_plan)))
        session_pool.close(connection.pk)
        running = _CurrentDay(connection, actor, day, erp)
        _make_orders(running)
        finished = _go_on(running, until=started + scenario.limit)
    # Without faults: read the answers that the ERP wrote in the last round.
    poll(connection.pk)
    day_run = DayRun(day, running.orders, erp.receipts, fault_plan, finished, time.monotonic() - started)
    return evaluate_day(day_run, connection, dropzone)


def _under(fault_plan: FaultPlan) -> Callable[[Transport], Transport]:
    return lambda transport: FaultInjectingTransport(transport, fault_plan)


def _behaviour(day: ScenarioDay, seed: str) -> Behaviour:
    return Behaviour(
        refuse_rate=day.refuse_rate,
        truncate_rate=day.truncate_rate,
        duplicate_rate=day.duplicate_rate,
        delay=day.delay,
        dawdle=0.5,
        seed=seed,
        keep=False,
    )


def _make_orders(running: _CurrentDay) -> None:
    org = running.connection.org
    customer, _ = Customer.objects.get_or_create(
        org=org, name=CUSTOMER, defaults={"erp_customer_number": "TEST", "default_currency": "EUR"}
    )
    for number in range(1, running.day.orders + 1):
        header = {
            "customer": customer,
            "currency": "EUR",
            "external_order_number": f"TEST {running.day.name} {number}"[:100],
            "notes": "Acceptance test: not a real order.",
        }
        line = {
            "line_no": 1, "internal_sku": "TEST", "qty": Decimal(number), "uom": "ST", "currency": "EUR",
            "unit_price": Decimal("1.2345"), "product_description": "Prüfling Ø 5 mm",
        }  # fmt: skip
        draft = create_draft(org, header=header, lines=[line])
        approve(draft.pk, actor=running.actor)
        for _ in range(2 if running.day.twice else 1):
            push(draft.pk, actor=running.actor)
        running.orders.append(draft.pk)


def _go_on(running: _CurrentDay, *, until: float) -> bool:
    """Deliver and poll until every order has its answer. Return False if the time ends first."""
    times = 2 if running.day.twice else 1
    while time.monotonic() < until:
        for _ in range(times):
            deliver(running.connection.pk)
        _let_erp_work(running.erp)
        for _ in range(times):
            poll(running.connection.pk)
        _operate(running)
        if _is_over(running):
            return True
        time.sleep(PAUSE)
    return False


def _let_erp_work(erp: SimulatedErp) -> None:
    try:
        erp.transport.open()
        erp.step(timezone.now())
    except Fault:
        erp.transport.close()


def _operate(running: _CurrentDay) -> None:
    """Act as an operator would, and skip the minutes that a bad line would take."""
    mine = ERPExport.objects.filter(draft_order__in=running.orders)
    for export in mine.filter(failed_as__in=(FailedAs.NOT_SENT, FailedAs.UNKNOWN)).select_related(
        "draft_order"
    ):
        if export.draft_order.status == DraftStatus.ERROR:
            retry_push(export.draft_order_id, actor=running.actor)
    mine.filter(status=ExportStatus.PENDING).update(next_attempt_at=None)
    ERPConnection.objects.filter(pk=running.connection.pk).update(retry_at=None, poll_retry_at=None)


def _is_over(running: _CurrentDay) -> bool:
    answered = ERPExport.objects.filter(draft_order__in=running.orders)
    ended = (
        answered.filter(status=ExportStatus.ACKED).count()
        + answered.filter(failed_as=FailedAs.REFUSED).count()
    )
    return ended == len(running.orders) and not running.erp.waiting
