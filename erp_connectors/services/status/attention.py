"""List what needs attention, the most urgent first; similar rows are one line with a count."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from erp_connectors.models import AckFile, ERPExport
from erp_connectors.outbox.delivery_errors import worded
from erp_connectors.outbox.models import Subscription
from erp_connectors.services.acks.misnamed import misnamed_of
from erp_connectors.services.connections.expiry_warnings import ExpiryWarning, Why
from erp_connectors.services.exports import deadlines
from erp_connectors.services.status.attention_queries import (
    contradicted,
    delayed,
    doubtful,
    stray,
    undelivered_notifications,
    unresolved,
)
from erp_connectors.services.status.connection_health import ConnectionProblem, Health, State
from erp_connectors.states import AckFileStatus, ConnectionStatus, FailedAs
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.models import User


class NeedKind(IntEnum):
    """Kinds of needs, the most urgent first."""

    WORKERS_SILENT = 0
    HOST_KEY_CHANGED = 1
    UNREADABLE = 2
    HELD = 3
    DISABLED_WITH_WAITING = 4
    NO_HOST_KEY = 5
    OUTCOME_UNKNOWN = 6
    CONTRADICTED = 7
    FAILED = 8
    DELAYED = 9
    REFUSED = 10
    OVERDUE = 11
    ANSWERS_UNREAD = 12
    MALFORMED = 13
    MISNAMED = 14
    UNMATCHED = 15
    TEST_FAILED = 16
    RUNS_OUT = 17
    PLAN_OVERDUE = 18
    ERP_NUMBER_DOUBTFUL = 19
    UNTESTED = 20
    WEAK = 21
    NOT_NOTIFIED = 22
    TO_PUSH = 23
    TO_APPROVE = 24
    TO_REVIEW = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """``count`` rows of an org that want the same; the last three say why exports failed."""

    kind: NeedKind
    org_id: UUID | None
    count: int = 1
    since: datetime | None = None
    connection_id: UUID | None = None
    subscription_id: UUID | None = None
    where: str = ""
    problem: ConnectionProblem | None = None
    failed_as: str = ""
    code: str = ""
    error_code: str = ""

    @property
    def alike(self) -> str:
        return f"{self.failed_as}:{self.code}:{self.error_code}" if self.failed_as else ""


SHOWN_FILES = 3
OF_A_STATE = {
    State.HOST_KEY_CHANGED: NeedKind.HOST_KEY_CHANGED,
    State.UNREADABLE: NeedKind.UNREADABLE,
    State.HELD: NeedKind.HELD,
    State.DISABLED_WITH_WAITING: NeedKind.DISABLED_WITH_WAITING,
    State.NO_HOST_KEY: NeedKind.NO_HOST_KEY,
    State.ANSWERS_UNREAD: NeedKind.ANSWERS_UNREAD,
    State.TEST_FAILED: NeedKind.TEST_FAILED,
    State.UNTESTED: NeedKind.UNTESTED,
}
OF_AN_EXPIRY_WARNING = {
    Why.RUNS_OUT: NeedKind.RUNS_OUT,
    Why.PLAN_OVERDUE: NeedKind.PLAN_OVERDUE,
    Why.WEAK: NeedKind.WEAK,
}
OF_AN_ORDER = {
    DraftStatus.APPROVED: NeedKind.TO_PUSH,
    DraftStatus.READY: NeedKind.TO_APPROVE,
    DraftStatus.NEEDS_REVIEW: NeedKind.TO_REVIEW,
}


def list_needs(user: User, health: Sequence[Health], *, now: datetime) -> list[Need]:
    """Eight statements."""
    exports = ERPExport.objects.visible_to(user).order_by()
    needs = [
        *_of_connections(health),
        *_of_expiry_warnings(health),
        *_failed(exports),
        *_delayed(exports, now),
        *_contradicted(exports),
        *_overdue(health),
        *_stray(AckFile.objects.visible_to(user).order_by(), now),
        *_misnamed(health),
        *_doubtful_numbers(user, now),
        *_not_notified(user),
        *_orders(user),
    ]
    places: dict[UUID | None, str] = {one.connection.pk: one.where for one in health}
    located = [replace(need, where=need.where or places.get(need.connection_id, "")) for need in needs]
    return sorted(located, key=lambda need: (need.kind, -need.count))


def _of_connections(health: Iterable[Health]) -> Iterator[Need]:
    for one in health:
        kind = OF_A_STATE.get(one.state)
        if kind is None:
            continue
        yield Need(
            kind=kind,
            org_id=one.connection.org_id,
            count=one.waiting,
            since=one.since,
            connection_id=one.connection.pk,
            problem=one.problem,
        )


def _of_expiry_warnings(health: Iterable[Health]) -> Iterator[Need]:
    for one in health:
        if one.connection.status != ConnectionStatus.ACTIVE:
            continue
        for why, kind in OF_AN_EXPIRY_WARNING.items():
            mine = [warning for warning in one.expiry_warnings if warning.why is why]
            if mine:
                yield Need(
                    kind=kind,
                    org_id=one.connection.org_id,
                    count=0,
                    connection_id=one.connection.pk,
                    # What is weak is said whole by its title.
                    problem=None if why is Why.WEAK else _together(mine),
                )


def _together(found: Sequence[ExpiryWarning]) -> ConnectionProblem:
    return ConnectionProblem("", " · ".join(warning.text for warning in found), "")


def _failed(exports: QuerySet[Any]) -> Iterator[Need]:
    for need, row in _by_fault(
        NeedKind.FAILED, unresolved(exports), error_code=KT("error_json__params__error_code")
    ):
        yield replace(
            need,
            kind=_OF_A_FAILURE.get(row["failed_as"], need.kind),
            failed_as=row["failed_as"],
            error_code=row["error_code"] or "",
        )


def _by_fault(kind: NeedKind, exports: QuerySet[Any], **more: Any) -> Iterator[tuple[Need, dict[str, Any]]]:
    """Return exports of one connection with the same fault as one need, with the row of the query."""
    groups = exports.values("org", "connection", "failed_as", code=KT("error_json__code"), **more)
    # Which one does not matter: an example says more than a code.
    counted = groups.annotate(
        how_many=Count("pk"), since=Min("created_at"), params=Max(KT("error_json__params"))
    )
    for row in counted:
        code = row["code"] or ""
        need = Need(
            kind=kind,
            org_id=row["org"],
            count=row["how_many"],
            since=row["since"],
            connection_id=row["connection"],
            problem=ConnectionProblem.of({"code": code, "params": json.loads(row["params"] or "{}")}),
            code=code,
        )
        yield need, row


_OF_A_FAILURE: dict[str, NeedKind] = {
    FailedAs.NOT_SENT: NeedKind.FAILED,
    FailedAs.UNKNOWN: NeedKind.OUTCOME_UNKNOWN,
    FailedAs.REFUSED: NeedKind.REFUSED,
}


def _delayed(exports: QuerySet[Any], now: datetime) -> Iterator[Need]:
    for need, _row in _by_fault(NeedKind.DELAYED, delayed(exports, now=now)):
        yield need


def _contradicted(exports: QuerySet[ERPExport]) -> Iterator[Need]:
    groups = contradicted(exports).values_list("org", "connection")
    counted = groups.annotate(how_many=Count("pk"), since=Min(KT("conflict_json__time")))
    for org, connection, how_many, since in counted:
        yield Need(
            kind=NeedKind.CONTRADICTED,
            org_id=org,
            connection_id=connection,
            count=how_many,
            since=datetime.fromisoformat(since),
        )


def _overdue(health: Iterable[Health]) -> Iterator[Need]:
    hint = _(deadlines.HINT)
    for one in health:
        if one.overdue:
            yield Need(
                kind=NeedKind.OVERDUE,
                org_id=one.connection.org_id,
                connection_id=one.connection.pk,
                count=one.overdue,
                problem=ConnectionProblem("", _(deadlines.MEANING), hint),
            )


def _stray(files: QuerySet[AckFile], now: datetime) -> Iterator[Need]:
    groups = stray(files, now=now).values_list("org", "connection", "status")
    for org, connection, status, how_many, since in groups.annotate(Count("pk"), Min("first_seen_at")):
        kind = NeedKind.MALFORMED if status == AckFileStatus.MALFORMED else NeedKind.UNMATCHED
        yield Need(kind=kind, org_id=org, connection_id=connection, count=how_many, since=since)


def _misnamed(health: Iterable[Health]) -> Iterator[Need]:
    for one in health:
        found = misnamed_of(one.connection)
        if found.count and one.connection.status == ConnectionStatus.ACTIVE:
            named = _("“%(name)s” should be called “%(expected)s”")
            shown = [
                named % {"name": file.name, "expected": file.expected_name}
                for file in found.files[:SHOWN_FILES]
            ]
            yield Need(
                kind=NeedKind.MISNAMED,
                org_id=one.connection.org_id,
                connection_id=one.connection.pk,
                count=found.count,
                since=min(file.since for file in found.files),
                problem=ConnectionProblem("", f"{'; '.join(shown)}.", ""),
            )


def _doubtful_numbers(user: User, now: datetime) -> Iterator[Need]:
    marked = doubtful(DraftOrder.objects.visible_to(user), now=now).order_by()
    for org, how_many, since in marked.values_list("org").annotate(
        Count("pk"), Min("erp_number_doubtful_at")
    ):
        yield Need(kind=NeedKind.ERP_NUMBER_DOUBTFUL, org_id=org, count=how_many, since=since)


def _not_notified(user: User) -> Iterator[Need]:
    for one in undelivered_notifications(Subscription.objects.visible_to(user)):
        yield Need(
            kind=NeedKind.NOT_NOTIFIED,
            org_id=one.org_id,
            count=0,
            since=one.failing_since,
            subscription_id=one.pk,
            where=str(one),
            problem=ConnectionProblem("", *worded(one.last_error)),
        )


def _orders(user: User) -> Iterator[Need]:
    waiting = DraftOrder.objects.visible_to(user).filter(status__in=OF_AN_ORDER).order_by()
    for org, status, how_many in waiting.values_list("org", "status").annotate(Count("pk")):
        yield Need(kind=OF_AN_ORDER[DraftStatus(status)], org_id=org, count=how_many)
