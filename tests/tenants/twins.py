"""Two orgs that share as much as can be: server, login, folders, numbers, keys, webhook; one is marked in every text.

What they can't share, because it is unique, differs in its last digit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection as database
from django.db import models
from django.utils import timezone

from erp_connectors.archive import storage_key
from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction, BulkRow, BulkRun
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.notifications import digests, subscriptions
from erp_connectors.notifications.models import Notification
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Channel, PendingEvent, Subscription
from erp_connectors.retention.models import RetentionRun, RetentionShare
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.accounts.models import Token
from orderflow.audit.context import RequestContext, current
from orderflow.audit.models import Action, AuditLog
from orderflow.audit.services import Entry, record
from orderflow.idempotency.models import KeyedRequest
from orderflow.orders.models import Customer, Document, DraftOrder, ImportedOrder
from orderflow.orders.states import DraftStatus
from orderflow.second_factor.models import RecoveryCode, SecondFactor
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tests import factories, second_factors
from tests.servers.ssh import SshServer

MARK = "ZWILLING"
# Orders of each org, by what became of them.
ACCEPTED, REFUSED, SENT, PENDING, APPROVED, READY, REVIEW = range(1, 8)
STRAY = "ack_sales_order_of_nobody.json"


@dataclass
class Twin:
    org: Org
    connection: ERPConnection
    digit: int
    mark: str = ""
    users: dict[Role, User] = field(default_factory=dict)
    orders: dict[int, DraftOrder] = field(default_factory=dict)

    def export(self, order: int) -> ERPExport:
        return ERPExport.objects.get(draft_order=self.orders[order])

    def row(self, model: Any) -> Any:
        return mine(model, self.org).order_by("pk").first()


def shared_config(server: SshServer) -> dict[str, Any]:
    for folder in ("in", "ack"):
        (server.root / folder).mkdir(exist_ok=True)
    return server.config()


def bare_twins(config: dict[str, Any]) -> tuple[Twin, Twin]:
    """With people, a connection and nothing else."""
    return _bare(config, "", 1), _bare(config, MARK, 2)


def twins(config: dict[str, Any], hook: str, server: SshServer) -> tuple[Twin, Twin]:
    """With something in every table."""
    one, other = bare_twins(config)
    for twin in (one, other):
        _subscribe(twin, hook)
        _fill(twin)
        answered(twin, server)
    digests.gather(timezone.now() + timedelta(minutes=5))
    for twin in (one, other):
        _fill_rest(twin)
    _mark_texts(other)
    return one, other


def _bare(config: dict[str, Any], mark: str, digit: int) -> Twin:
    org = factories.org(name=f"{mark} Großhandel".strip(), slug=f"{mark.lower()}grosshandel")
    twin = Twin(org, factories.connection(org, config), digit, mark)
    for role in Role:
        email = f"{mark.lower()}{role.lower()}@example.com"
        twin.users[role] = User.objects.create_user(email, factories.PASSWORD, org=org, role=role)
    return twin


def order(twin: Twin, number: int, status: DraftStatus = DraftStatus.APPROVED) -> DraftOrder:
    """The same first digits in the id, the same customer and order number, for both."""
    customer = Customer.objects.for_org(twin.org).first() or factories.customer(
        twin.org, name=f"{twin.mark}Kunde"
    )
    twin.orders[number] = factories.draft(
        twin.org,
        id=UUID(f"550e8400-e29b-41d4-a716-{number:08}000{twin.digit}"),
        customer=customer,
        external_order_number=f"PO-{number}",
        status=status,
    )
    return twin.orders[number]


def pushed(twin: Twin, number: int) -> ERPExport:
    """Under a file name that differs from the other's in its last digit."""
    export = push(twin.orders[number].pk, actor=twin.users[Role.OPS], idempotency_key=f"key-{number}").export
    name = f"sales_order_550e8400_20260101_000000_{number:07}{twin.digit}.json"
    export.filename, export.export_storage_key = name, storage_key(twin.org.pk, name)
    export.save()
    return export


def _subscribe(twin: Twin, hook: str) -> None:
    for values in (
        {"channel": Channel.WEBHOOK, "url": hook},
        {"addresses": f"{twin.mark.lower()}ops@example.com"},
    ):
        told = Subscription(org=twin.org, connection=twin.connection, events=list(Event.values), **values)
        subscriptions.create(told, actor=twin.users[Role.ADMIN])


def _fill(twin: Twin) -> None:
    for number in (ACCEPTED, REFUSED, SENT, PENDING, APPROVED):
        order(twin, number)
    order(twin, READY, DraftStatus.READY)
    order(twin, REVIEW, DraftStatus.NEEDS_REVIEW)
    document = Document.objects.create(
        org=twin.org, file_name=f"{twin.mark}Bestellung.pdf", sha256="0" * 64, size=1
    )
    DraftOrder.objects.for_org(twin.org).update(document=document)
    for number in (ACCEPTED, REFUSED, SENT):
        pushed(twin, number)
    assert deliver(twin.connection.pk).sent == 3
    pushed(twin, PENDING)


def answers(twin: Twin) -> dict[str, str]:
    """By file name; the last answers no order at all."""
    return {
        f"ack_{twin.export(ACCEPTED).filename}": f'{{"status": "ACKED", "erp_order_id": "{twin.mark}SO-1"}}',
        f"error_{twin.export(REFUSED).filename}": f'{{"status": "FAILED", "message": "{twin.mark}unknown"}}',
        STRAY: f'{{"status": "ACKED", "erp_order_id": "{twin.mark}SO-9"}}',
    }


def answered(twin: Twin, server: SshServer) -> None:
    for name, body in answers(twin).items():
        (server.root / "ack" / name).write_text(body)
    poll(twin.connection.pk)


def _fill_rest(twin: Twin) -> None:
    ops, admin = twin.users[Role.OPS], twin.users[Role.ADMIN]
    token = current.set(
        RequestContext(request_id=f"{twin.mark}7", ip="192.0.2.7", user_agent=f"{twin.mark}Browser")
    )
    texts = {"said": f"{twin.mark}text"}
    record(
        Entry(
            action=Action.LOGIN_SUCCEEDED, org_id=twin.org.pk, entity_type=f"{twin.mark}User",
            entity_id=f"{twin.mark}7",
            actor=ops, before=texts, after=texts,
        )
    )  # fmt: skip
    current.reset(token)
    runs.make(BulkAction.PUSH, [twin.orders[APPROVED].pk], actor=ops)
    for told in Subscription.objects.for_org(twin.org):
        PendingEvent.objects.create(
            subscription=told, event=Event.EXPORT_FAILED, connection=twin.connection, export=twin.export(REFUSED)
        )  # fmt: skip
    second_factors.set_up(ops)
    run = RetentionRun.objects.create(org=twin.org, older_than=100, finished_at=timezone.now())
    RetentionShare.objects.create(run=run, org=twin.org, finished_at=timezone.now())
    for user in twin.users.values():
        Token.objects.create(user, name=f"{twin.mark}token")
    KeyedRequest.objects.create(
        scope=f"org {twin.org.pk}", operation="POST /api/v1/draft-orders", key="key-1", fingerprint="0" * 64,
        token="", until=timezone.now(), status=201, body=f'{{"id": "{twin.mark}"}}',
    )  # fmt: skip
    ImportedOrder.objects.create(
        customer=twin.row(Customer), external_order_number="PO-1", draft_order=twin.orders[ACCEPTED],
        sha256="0" * 64, file_name=f"{twin.mark}orders.csv", file_line=1, imported_by=ops,
    )  # fmt: skip
    LogEntry.objects.create(
        user=admin, content_type=ContentType.objects.get_for_model(Customer), object_id=twin.row(Customer).pk,
        object_repr=f"{twin.mark}Kunde", action_flag=CHANGE, change_message=f"{twin.mark}changed",
    )  # fmt: skip


# Every model whose rows are an org's, and how to get from a row to it.
OWNERS: dict[Any, str] = {
    Org: "pk",
    User: "org",
    AuditLog: "org",
    Customer: "org",
    Document: "org",
    DraftOrder: "org",
    apps.get_model("orders", "DraftOrderLine"): "draft_order__org",
    ImportedOrder: "draft_order__org",
    ERPConnection: "org",
    ERPExport: "org",
    apps.get_model("erp_connectors", "ERPExportEvent"): "export__org",
    AckFile: "org",
    BulkRun: "org",
    BulkRow: "run__org",
    Subscription: "org",
    PendingEvent: "subscription__org",
    Notification: "subscription__org",
    Token: "user__org",
    LogEntry: "user__org",
    KeyedRequest: "scope",
    SecondFactor: "user__org",
    RecoveryCode: "factor__user__org",
    RetentionRun: "org",
    RetentionShare: "org",
}
# No org's: what counts, what runs, and what Django and its packages keep for themselves.
NOBODYS = {
    "access.ThrottleCount", "heartbeat.Heartbeat", "erp_connectors.MetricCount", "auth.Permission", "auth.Group",
    "contenttypes.ContentType", "sessions.Session", "django_q.Task", "django_q.Success", "django_q.Failure",
    "django_q.Schedule", "django_q.OrmQ", "axes.AccessFailureLog", "axes.AccessAttempt",
    "axes.AccessAttemptExpiration", "axes.AccessLog",
}  # fmt: skip
# Texts that mean something to the program, or that both have alike; all others are marked.
UNMARKED = {
    "Token.digest", "Token.token_key", "KeyedRequest.scope", "KeyedRequest.operation", "KeyedRequest.key",
    "KeyedRequest.fingerprint", "KeyedRequest.token", "User.password", "Document.sha256",
    "Customer.erp_customer_number", "Customer.default_currency", "DraftOrder.external_order_number",
    "DraftOrder.currency", "DraftOrderLine.currency", "ImportedOrder.external_order_number", "ImportedOrder.sha256",
    "ERPConnection.connector_type", "ERPConnection.config", "ERPConnection.secrets_set_at",
    "ERPConnection.test_report", "ERPConnection.server_limits",
    "ERPConnection.delivery_lease_token", "ERPConnection.poll_lease_token",
    "ERPExport.export_format_version", "ERPExport.filename", "ERPExport.export_storage_key", "ERPExport.sha256",
    "ERPExport.idempotency_key", "ERPExport.staged_destination", "ERPExport.staged_path", "ERPExport.dropzone_path",
    "ERPExport.payload", "ERPExportEvent.stage", "AckFile.name", "LogEntry.object_id", "Subscription.url",
    "Subscription.secrets", "Subscription.events", "Subscription.language", "Subscription.reported_circuits",
    "Subscription.lease_token", "RetentionRun.lease_token", "SecondFactor.secret", "RecoveryCode.digest",
}  # fmt: skip
_JSON: dict[str, Any] = {
    "Org.settings": {"said": MARK},
    "BulkRun.asked_from": {"request_id": MARK, "ip": None, "user_agent": MARK},
    "Notification.reached": [f"{MARK.lower()}ops@example.com"],
}
_FAULT = {"code": MARK, "params": {"path": MARK, "detail": MARK}, "stage": MARK, "attempt": 1}


def texts(model: Any) -> Iterator[Any]:
    kinds = (models.CharField, models.TextField, models.JSONField, models.BinaryField)
    for column in model._meta.concrete_fields:
        if isinstance(column, kinds) and not column.choices and not column.is_relation:
            yield column


def mine(model: Any, org: Org) -> Any:
    owner = OWNERS[model]
    return model._default_manager.filter(**{owner: f"org {org.pk}" if owner == "scope" else org.pk})


def _mark_texts(twin: Twin) -> None:
    """Every text that nothing of the above has marked, in every row."""
    for model in OWNERS:
        for column in texts(model):
            name = f"{model.__name__}.{column.name}"
            if name in UNMARKED or model is AuditLog or _is_marked(model, column, twin.org):
                continue
            mine(model, twin.org).update(**{column.name: _marked(name, column)})


def _marked(name: str, column: Any) -> Any:
    if isinstance(column, models.JSONField):
        return _JSON.get(name, _FAULT)
    text = f"{MARK}{column.name}"[: column.max_length]
    return text.encode() if isinstance(column, models.BinaryField) else text


def _is_marked(model: Any, column: Any, org: Org) -> bool:
    return any(
        MARK.lower() in shown(value).lower() for value in mine(model, org).values_list(column.name, flat=True)
    )


def unmarked(twin: Twin) -> set[str]:
    return {
        f"{model.__name__}.{column.name}"
        for model in OWNERS
        for column in texts(model)
        if not _is_marked(model, column, twin.org)
    }


def shown(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def state(org: Org) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of an org, as stored: what is sealed stays so."""
    rows = {}
    for model in OWNERS:
        sql, params = mine(model, org).order_by("pk").query.sql_with_params()
        with database.cursor() as cursor:
            cursor.execute(sql, params)
            rows[model.__name__] = [
                tuple(shown(value) if isinstance(value, memoryview) else value for value in row)
                for row in cursor.fetchall()
            ]
    return rows


def tokens(twin: Twin) -> set[str]:
    """What tells of a twin wherever it stands, in small letters."""
    ids = {
        str(pk)
        for model in OWNERS
        if isinstance(model._meta.pk, models.UUIDField)
        for pk in mine(model, twin.org).values_list("pk", flat=True)
    }
    public = {str(token.public_id) for token in mine(Token, twin.org)}
    names = set(mine(ERPExport, twin.org).values_list("filename", flat=True))
    return ids | public | names | ({twin.mark.lower()} if twin.mark else set())


def told_of(twin: Twin, text: str) -> set[str]:
    text = text.lower()
    return {token for token in tokens(twin) if token in text}


def require_unmixed(*both: Twin) -> None:
    """No row of one holds anything of the other."""
    for one, other in (both, both[::-1]):
        for model, rows in state(one.org).items():
            found = told_of(other, "\n".join(shown(value) for row in rows for value in row))
            assert not found, (model, found)
