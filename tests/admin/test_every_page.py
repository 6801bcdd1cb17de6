"""Every page of the admin, as everybody: who gets in, and that nobody ever sees another org's rows."""

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction, BulkRun
from erp_connectors.models import AckFile, ERPConnection, ERPExport, ERPExportEvent
from erp_connectors.notifications import subscriptions
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.services.acks.poll import poll
from erp_connectors.services.delivery.deliver import deliver
from erp_connectors.services.exports.push import push
from orderflow.audit.models import Action, AuditLog
from orderflow.audit.services import Entry, record
from orderflow.orders.models import Customer, Document, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.second_factor.models import SecondFactor
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tests import factories, second_factors

pytestmark = [pytest.mark.deep, pytest.mark.django_db]
CANARY = "KANARIE"
ACTORS = ["ADMIN", "INTEGRATOR", "OPS", "VIEWER", "staff", "stranger", "nobody"]
MODELS: list[Any] = [
    Org,
    User,
    AuditLog,
    Customer,
    Document,
    DraftOrder,
    ERPExport,
    AckFile,
    ERPConnection,
    BulkRun,
    Subscription,
]
# Status of a GET, in the order of ACTORS; a page that is missing here fails. 302 on another org's row: "doesn't exist".
TABLE = """
index                                    200 200 200 200 200 200 302
second_factor_code                       302 302 302 302 302 302 302
second_factor                            200 200 200 200 200 200 302
second_factor_codes                      302 302 302 302 302 302 302
second_factor_off                        302 302 302 302 302 302 302
password_change                          200 200 200 200 200 200 302
password_change_done                     200 200 200 200 200 200 302
jsi18n                                   200 200 200 200 200 200 302
autocomplete                             403 403 403 403 403 403 302
view_on_site                             404 404 404 404 404 404 302
tenancy_org_changelist                   200 403 403 403 200 200 302
tenancy_org_add                          403 403 403 403 200 403 302
tenancy_org_history                      200 403 403 403 200 302 302
tenancy_org_delete                       403 403 403 403 403 403 302
tenancy_org_change                       200 403 403 403 200 302 302
auth_user_password_change                200 403 403 403 200 404 302
tenancy_user_unlock                      302 403 403 403 302 404 302
tenancy_user_second_factor               200 403 403 403 200 404 302
tenancy_user_changelist                  200 403 403 403 200 200 302
tenancy_user_add                         200 403 403 403 200 200 302
tenancy_user_history                     200 403 403 403 200 302 302
tenancy_user_delete                      403 403 403 403 403 403 302
tenancy_user_change                      200 403 403 403 200 302 302
audit_auditlog_changelist                200 200 403 403 200 200 302
audit_auditlog_add                       403 403 403 403 403 403 302
audit_auditlog_history                   200 200 403 403 200 302 302
audit_auditlog_delete                    403 403 403 403 403 403 302
audit_auditlog_change                    200 200 403 403 200 302 302
orders_customer_changelist               200 200 200 200 200 200 302
orders_customer_add                      200 403 200 403 403 200 302
orders_customer_history                  200 200 200 200 200 302 302
orders_customer_delete                   403 403 403 403 403 403 302
orders_customer_change                   200 200 200 200 200 302 302
orders_document_changelist               200 200 200 200 200 200 302
orders_document_add                      403 403 403 403 403 403 302
orders_document_history                  200 200 200 200 200 302 302
orders_document_delete                   403 403 403 403 403 403 302
orders_document_change                   200 200 200 200 200 302 302
erp_connectors_ackfile_action               302 403 302 403 302 404 302
erp_connectors_ackfile_changelist        200 200 200 200 200 200 302
erp_connectors_ackfile_add               403 403 403 403 403 403 302
erp_connectors_ackfile_history           200 200 200 200 200 302 302
erp_connectors_ackfile_delete            403 403 403 403 403 403 302
erp_connectors_ackfile_change            200 200 200 200 200 302 302
bulk_run                                 200 200 200 200 200 404 302
bulk_run_confirm                         302 302 302 302 302 404 302
bulk_bulkrun_changelist                  200 200 200 200 200 200 302
bulk_bulkrun_add                         403 403 403 403 403 403 302
bulk_bulkrun_history                     200 200 200 200 200 302 302
bulk_bulkrun_delete                      403 403 403 403 403 403 302
bulk_bulkrun_change                      302 302 302 302 302 404 302
erp_connection_test                      200 200 403 403 200 404 302
erp_connection_host_key                  404 404 403 403 404 404 302
erp_connectors_erpconnection_changelist  200 200 403 403 200 200 302
erp_connectors_erpconnection_add         200 200 403 403 403 200 302
erp_connectors_erpconnection_history     200 200 403 403 200 302 302
erp_connectors_erpconnection_delete      403 403 403 403 403 403 302
erp_connectors_erpconnection_change      200 200 403 403 200 302 302
erp_export_payload                       200 200 200 200 200 404 302
erp_export_ack                           200 200 200 200 200 404 302
erp_export_proof                         200 200 200 200 200 404 302
erp_export_mark_accepted                 200 403 200 403 200 404 302
erp_export_mark_refused                  200 403 200 403 200 404 302
erp_connectors_erpexport_action             302 403 302 403 302 404 302
erp_connectors_erpexport_changelist      200 200 200 200 200 200 302
erp_connectors_erpexport_add             403 403 403 403 403 403 302
erp_connectors_erpexport_history         200 200 200 200 200 302 302
erp_connectors_erpexport_delete          403 403 403 403 403 403 302
erp_connectors_erpexport_change          200 200 200 200 200 302 302
notify_test                              302 302 403 403 302 404 302
notify_secret                            200 200 403 403 200 404 302
notify_subscription_changelist           200 200 403 403 200 200 302
notify_subscription_add                  200 200 403 403 403 200 302
notify_subscription_history              200 200 403 403 200 302 302
notify_subscription_delete               200 200 403 403 200 302 302
notify_subscription_change               200 200 403 403 200 302 302
orders_draftorder_action                    302 403 302 403 302 404 302
orders_draftorder_changelist             200 200 200 200 200 200 302
orders_draftorder_add                    403 403 403 403 403 403 302
orders_draftorder_history                200 200 200 200 200 302 302
orders_draftorder_delete                 403 403 403 403 403 403 302
orders_draftorder_change                 200 200 200 200 200 302 302
app_list                                 200 200 200 200 200 200 302
"""


@dataclass
class World:
    org: Org
    rows: dict[Any, Any]
    export: ERPExport
    ack: AckFile


@pytest.fixture
def worlds(tmp_path, settings) -> tuple[World, World]:
    """An org, and another one that has the canary in every name."""
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return world(tmp_path / "a", "Muster"), world(tmp_path / "b", CANARY)


def world(folder: Any, name: str) -> World:
    for place in ("in", "ack"):
        (folder / place).mkdir(parents=True)
    org = factories.org(name=f"{name} GmbH", slug=f"{name.lower()}-slug")
    config = {"mode": "filesystem", "export_path": f"{folder}/in", "ack_path": f"{folder}/ack"}
    connection = factories.connection(org, config)
    document = Document.objects.create(org=org, file_name=f"{name}.pdf", sha256="0" * 64, size=1)
    customer = factories.customer(org, name=f"{name} Kunde", erp_customer_number=f"{name}-47")
    draft = factories.draft(
        org, customer=customer, document=document, external_order_number=f"{name}-PO-1", notes=name
    )
    pusher = User.objects.create_user(
        f"{name.lower()}@example.com", factories.PASSWORD, org=org, role=Role.OPS
    )
    second_factors.set_up(pusher)
    export = push(draft.pk, actor=pusher).export
    deliver(connection.pk)
    (folder / "ack" / f"ack_{export.filename}").write_text(
        f'{{"status": "ACKED", "erp_order_id": "{name}-SO-1"}}'
    )
    (folder / "ack" / f"ack_sales_order_{name}.json").write_text('{"status": "ACKED", "erp_order_id": "1"}')
    poll(connection.pk)
    record(
        Entry(action=Action.LOGIN_SUCCEEDED, org_id=org.pk, entity_type="User", entity_id=name, actor=pusher)
    )
    run = runs.make(BulkAction.PUSH, [draft.pk], actor=pusher)
    told = Subscription(
        org=org, connection=connection, channel=Channel.WEBHOOK, url=f"https://{name.lower()}.example.com/"
    )
    subscriptions.create(told, actor=pusher)
    export.refresh_from_db()
    ack = AckFile.objects.get(org=org, export=export)
    rows: dict[Any, Any] = {
        Org: org, User: pusher, AuditLog: AuditLog.objects.filter(org=org).latest("created_at"), Customer: customer,
        Document: document, DraftOrder: draft, ERPExport: export, ERPConnection: connection, BulkRun: run,
        AckFile: ack, Subscription: told,
    }  # fmt: skip
    return World(org, rows, export, ack)


def names(patterns: Any = None) -> Iterator[str]:
    for pattern in admin.site.get_urls() if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name


def address(name: str, of: World) -> str:
    """Of a page about a row of that org, where it is about one."""
    by_label = {f"{model._meta.app_label}_{model._meta.model_name}": row for model, row in of.rows.items()}
    label, _, page = name.rpartition("_")
    export, run, connection = of.export.pk, of.rows[BulkRun].pk, of.rows[ERPConnection].pk
    special: dict[str, list[Any]] = {
        "view_on_site": [ContentType.objects.get_for_model(Customer).pk, of.rows[Customer].pk],
        "auth_user_password_change": [of.rows[User].pk],
        "tenancy_user_unlock": [of.rows[User].pk], "tenancy_user_second_factor": [of.rows[User].pk],
        "app_list": ["orders"],
        "bulk_run": [run], "bulk_run_confirm": [run],
        "notify_test": [of.rows[Subscription].pk], "notify_secret": [of.rows[Subscription].pk],
        "erp_connection_test": [connection], "erp_connection_host_key": [connection],
        "erp_export_payload": [export], "erp_export_ack": [export, of.ack.pk], "erp_export_proof": [export],
        "erp_export_mark_accepted": [export], "erp_export_mark_refused": [export],
        "erp_connectors_ackfile_action": [of.ack.pk, "dismiss"],
        "erp_connectors_erpexport_action": [export, "retry"],
        "orders_draftorder_action": [of.rows[DraftOrder].pk, "push"],
    }  # fmt: skip
    if name in special:
        return reverse(f"admin:{name}", args=special[name])
    needs_row = label in by_label and page in ("history", "delete", "change")
    return reverse(f"admin:{name}", args=[by_label[label].pk] if needs_row else [])


def client_of(actor: str, own: World, other: World) -> Client:
    client = Client()
    if actor == "staff":
        client.force_login(factories.user(None))
    elif actor == "stranger":
        client.force_login(factories.user(factories.org(), Role.ADMIN))
    elif actor != "nobody":
        client.force_login(factories.user(own.org, Role(actor)))
    return client


def seen(worlds: tuple[World, World]) -> dict[str, str]:
    own, other = worlds
    clients = {actor: client_of(actor, own, other) for actor in ACTORS}
    return {
        name: " ".join(str(clients[actor].get(address(name, own)).status_code) for actor in ACTORS)
        for name in names()
        if name not in ("logout", "login")
    }


def test_each_page_is_for_whom_the_table_says(worlds):
    table = dict(line.split(maxsplit=1) for line in TABLE.strip().splitlines())

    assert seen(worlds) == table


@pytest.mark.parametrize("actor", ["INTEGRATOR", "OPS", "VIEWER", "staff"])
def test_no_page_has_a_link_that_its_reader_may_not_follow(worlds, actor):
    own, other = worlds
    client = client_of(actor, own, other)
    followed: dict[str, int] = {}

    refused = []
    pages = {
        name: address(name, own) for name in names() if not re.search("log(in|out)$|_(history|delete)$", name)
    }
    editable = factories.draft(own.org, status=DraftStatus.NEEDS_REVIEW, approved_by=own.rows[User])
    pages["editable order"] = reverse("admin:orders_draftorder_change", args=[editable.pk])
    for name, url in pages.items():
        page = client.get(url)
        if page.status_code != 200 or "html" not in page.headers["Content-Type"]:
            continue
        for link in re.findall(r'<a [^>]*href="(/[^"#]+)', page.content.decode()):
            if link not in followed:
                followed[link] = client.get(html.unescape(link)).status_code
            if followed[link] in (403, 404):
                refused.append((name, link, followed[link]))

    assert len(followed) > 20
    assert not refused, "\n".join(map(str, refused))


# Ways from a row to another org's: a list that followed them would answer by what it finds.
PRIED = (
    "org__slug", "org__name", "org__id", "customer__name", "draft_order__org__slug", "connection__config",
    "connection__org__name", "made_by__email", "actor__email", "export__filename", "approved_by__password",
)  # fmt: skip


def lists() -> list[str]:
    return [name for name in names() if name.endswith("_changelist")]


def questions(name: str, own: World, other: World) -> Iterator[dict[str, Any]]:
    """What a list can be asked: its own filters, and what somebody who pries would try."""
    model = next(m for m in MODELS if f"{m._meta.app_label}_{m._meta.model_name}_changelist" == name)
    yield {}
    for text in (
        CANARY,
        CANARY.lower(),
        f"{CANARY}-PO-1",
        f"{CANARY}-SO-1",
        other.export.filename,
        "sales_order_",
    ):
        yield {"q": text}
    yield {"_popup": "1"}
    yield {"_to_field": "id"}
    yield {"_facets": "True"}
    yield {"all": ""}
    for number in ("1", "-1", "2.-3", "99"):
        yield {"o": number}
    for lookup in ("attention", "overdue", "unresolved", "stray", "since"):
        for value in ("yes", "all", "today", "week", CANARY):
            yield {lookup: value}
    for field in model._meta.get_fields():
        for ending, value in (("__startswith", CANARY), ("__exact", CANARY), ("__isnull", "0")):
            yield {f"{field.name}{ending}": value}
    for path in PRIED:
        yield {f"{path}__startswith": CANARY}
        yield {f"{path}__exact": str(other.org.pk)}


def follower(client: Client) -> Callable[[str], str]:
    """Return a function that gets a page; the page that refused questions are redirected to is got once."""
    known: dict[str, str] = {}

    def follow(url: str) -> str:
        answer = client.get(url)
        if answer.status_code != 302:
            return answer.content.decode()
        target = urljoin(url, answer.headers["Location"])
        if target not in known:
            known[target] = client.get(target, follow=True).content.decode()
        return known[target]

    return follow


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
def test_no_list_tells_of_another_orgs_rows_whatever_it_is_asked(worlds, role):
    own, other = worlds
    client = client_of(role, own, other)
    ids = [str(row.pk) for model, row in other.rows.items() if model is not AckFile]

    told, asked = [], 0
    for name in lists():
        follow = follower(client)
        for question in questions(name, own, other):
            page = follow(f"{reverse(f'admin:{name}')}?{urlencode(question)}")
            asked += 1
            # What was asked for is repeated in the search box and in links; a row is more than that.
            repeated = {str(value) for value in question.values()}
            found = [
                mark for mark in (f"{CANARY} GmbH", f"{CANARY} Kunde", f"{CANARY}.pdf", *ids) if mark in page
            ]
            told += [(name, question, mark) for mark in found if mark not in repeated]

    assert asked > 300 or role != Role.ADMIN
    assert told == []


@pytest.mark.parametrize("role", list(Role))
def test_no_autocompletion_offers_another_orgs_rows(worlds, role):
    own, other = worlds
    client = client_of(role, own, other)

    for model in MODELS:
        for field in model._meta.concrete_fields:
            question: dict[str, Any] = {
                "app_label": model._meta.app_label, "model_name": model._meta.model_name,
                "field_name": field.name, "term": CANARY,
            }  # fmt: skip
            answer = client.get(reverse("admin:autocomplete"), question)
            assert answer.status_code in (403, 404) or answer.json()["results"] == []


def state() -> dict[str, list[Any]]:
    """Every row that an admin page could change."""
    tables: list[Any] = [*MODELS, ERPExportEvent, SecondFactor]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in tables}


def test_a_viewer_changes_nothing_anywhere(worlds):
    own, other = worlds
    client = client_of("VIEWER", own, other)
    before = state()

    for name in names():
        if name not in ("login", "logout", "password_change") and not name.endswith("_changelist"):
            client.post(address(name, own), {"note": "x", "erp_order_id": "1", "name": "x", "post": "yes"})

    after = state()
    assert after == before
