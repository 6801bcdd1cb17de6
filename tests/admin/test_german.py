"""In German every page is German: what a person reads there is a text that has a translation, or it is data."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import trans_real

from erp_connectors.admin.orders.row_actions import ORDER_ACTIONS
from erp_connectors.bulk import runs
from erp_connectors.bulk.models import BulkAction
from erp_connectors.faults import DISK_FULL, LOGIN_REFUSED, Fault
from erp_connectors.models import AckFile, ERPConnection, ERPExport
from erp_connectors.states import AckFileStatus, ExportStatus, FailedAs, Stage
from orderflow.messages import Message
from orderflow.orders.models import Customer, DraftOrder, DraftOrderLine
from orderflow.orders.states import DraftStatus, Uom
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from tests import factories, second_factors
from tests.admin.test_every_page import World, address, names, world
from tests.test_translations import SAME

pytestmark = [pytest.mark.deep, pytest.mark.django_db]
PLACEHOLDER = re.compile(r"(%\(\w+\)[sd]|%[sd]|\{\w*\})")
MARKED = re.compile("⟦[^⟦⟧]*⟧")
UNREAD = {"script", "style", "pre", "code", "textarea"}
READ_ALOUD = ("title", "aria-label", "placeholder", "alt")
# Names, which are the same in every language: of things, languages, zones, currencies, and of what programs call.
PROPER = [
    "OrderFlow", "OpenAPI", "UTC", "Europe/Berlin", "EN", "DE", "English", "Deutsch", "JSON", "ERP", "EUR", "SHA-256",
    "DROPZONE_JSON_V1", "DROPZONE_CSV_V1",
]  # fmt: skip
DATA = [
    # The folder of all tests, in whose path words stand.
    re.compile(re.escape(os.environ["PYTEST_DEBUG_TEMPROOT"])),
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{8,64}\b"),
    re.compile(r"([Aa]ck_|[Ee]rror_)?[Ss]ales_order_\w+(\.json)?"),
    re.compile(r"\S+@\S+"),
    re.compile(rf"\b({'|'.join(Uom.values)})\b"),
    re.compile(r"/[\w./-]{3,}"),
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)|\d+\. [A-ZÄ][a-zä]+ \d{4}"),
    # The key of a setting, in brackets after what it is.
    re.compile(r"\(\w+_\w+\)|{filename}"),
    re.compile(r"\d+ ms"),
]
SHOWN = (
    "name", "slug", "erp_customer_number", "external_order_number", "notes", "file_name", "email", "erp_order_id",
    "internal_sku", "product_description", "customer_sku_raw",
)  # fmt: skip
# Not pages: a script, an answer for scripts, a download.
NOT_READ = {"jsi18n", "autocomplete", "view_on_site", "erp_export_payload", "erp_export_ack", "logout"}


def marking(translate: Callable[..., str]) -> Callable[..., str]:
    """The same, with marks around each piece that has German; what is put into it stays outside of the marks."""

    def marked(*args: Any) -> str:
        german = translate(*args)
        if german in args and german not in SAME:
            return german
        pieces = PLACEHOLDER.split(german)
        shown = "".join(
            piece if PLACEHOLDER.fullmatch(piece) or not piece.strip() else f"⟦{piece}⟧" for piece in pieces
        )
        return type(german)(shown)

    return marked


@pytest.fixture
def marked(monkeypatch) -> None:
    texts: Any = vars(translation)["_trans"]
    for name in ("gettext", "ngettext", "pgettext", "npgettext"):
        monkeypatch.setattr(texts, name, marking(getattr(trans_real, name)))


class Reader(HTMLParser):
    """What a person reads on a page, or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.texts += [given[name] or "" for name in READ_ALOUD if name in given]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.texts.append(given.get("value") or "")
        if tag in UNREAD or given.get("translate") == "no":
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.within and self.within[-1] == tag:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if not self.within and data.strip():
            self.texts.append(" ".join(data.split()))


def foreign(html: str, data: list[str]) -> Iterator[str]:
    """The texts of a page that are neither German nor data."""
    reader = Reader()
    reader.feed(html)
    for text in dict.fromkeys(reader.texts):
        left = MARKED.sub(" ", text)
        for pattern in DATA:
            left = pattern.sub(" ", left)
        for value in data:
            left = left.replace(value, " ")
        if re.search(r"[^\W\d_]{2}", left):
            yield f"{text!r}: {left.strip()!r}"


def data_of(*rows: Any) -> list[str]:
    """The values of the rows that are shown, longest first."""
    values = [str(row) for row in rows]
    values += [str(getattr(row, name, "") or "") for row in rows for name in SHOWN]
    return sorted({*values, *PROPER} - {""}, key=len, reverse=True)


@pytest.fixture
def own(tmp_path, settings) -> World:
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    return world(tmp_path, "Muster")


def german(user: Any = None) -> Client:
    client = Client(headers={"accept-language": "de"}, raise_request_exception=False)
    if user:
        client.force_login(user)
    return client


@pytest.mark.parametrize("of_the_platform", [False, True], ids=["admin", "platform staff"])
def test_every_page_is_german(own, marked, of_the_platform):
    client = german(factories.user(None) if of_the_platform else factories.user(own.org, Role.ADMIN))

    found: dict[str, list[str]] = {}
    for name in names():
        if name in NOT_READ:
            continue
        page = client.get(address(name, own), follow=True).content.decode()
        for text in foreign(page, data_of(*shown(own))):
            found.setdefault(text, []).append(name)

    assert found == {}


@pytest.mark.parametrize("status", list(DraftStatus))
def test_an_order_is_german_in_every_status(own, marked, status):
    draft = factories.draft(own.org, status=status, customer=None, lines=2)
    DraftOrderLine.objects.filter(draft_order=draft, line_no=1).update(uom="", qty=0, internal_sku="")
    client = german(factories.user(own.org, Role.ADMIN))
    urls = [
        reverse("admin:orders_draftorder_action", args=[draft.pk, action.name]) for action in ORDER_ACTIONS
    ]
    change = reverse("admin:orders_draftorder_change", args=[draft.pk])

    pages = [client.get(change), *(client.get(url, follow=True) for url in urls)]
    pages += [client.post(url, {"version": draft.updated_at.isoformat()}, follow=True) for url in urls]

    assert not_german(pages, own) == []


@pytest.mark.parametrize(
    ("status", "failed_as"),
    [
        *((status, FailedAs.NOT_FAILED) for status in ExportStatus if status != ExportStatus.FAILED),
        *((ExportStatus.FAILED, failed_as) for failed_as in FailedAs if failed_as),
    ],
)
def test_an_export_is_german_in_every_status(own, marked, status, failed_as):
    error = Fault(DISK_FULL, "").as_error(stage=Stage.STAGE, attempt=3, at=timezone.now())
    ERPExport.objects.filter(pk=own.export.pk).update(
        status=status, failed_as=failed_as, error_json=error if failed_as else None
    )
    client = german(factories.user(own.org, Role.ADMIN))
    pages = [
        client.get(address(f"erp_export_{name}", own), follow=True)
        for name in ("proof", "mark_accepted", "mark_refused")
    ]
    pages += [client.post(address(f"erp_export_mark_{name}", own), {}) for name in ("accepted", "refused")]
    pages += [
        client.get(address(f"erp_connectors_erpexport_{name}", own)) for name in ("change", "changelist")
    ]

    assert not_german(pages, own) == []


@pytest.mark.parametrize("action", list(BulkAction))
def test_a_bulk_run_and_its_outcomes_are_german(own, marked, action):
    admin = factories.user(own.org, Role.ADMIN)
    drafts = [factories.draft(own.org, status=status, lines=0) for status in DraftStatus]
    run = runs.make(action, [draft.pk for draft in drafts], actor=admin)
    client = german(admin)
    page = reverse("admin:bulk_run", args=[run.pk])

    pages = [client.get(page), client.post(reverse("admin:bulk_run_confirm", args=[run.pk]), follow=True)]

    assert run.rows.exclude(why=None).exists()
    assert not_german(pages, own) == []


def test_what_goes_wrong_is_said_in_german(own, marked, settings):
    admin = german(factories.user(own.org, Role.ADMIN))
    connection = reverse("admin:erp_connectors_erpconnection_add")
    pages = [
        admin.get("/admin/nowhere/"),
        admin.get(reverse("admin:tenancy_org_add")),
        admin.post(reverse("admin:orders_customer_add"), {"default_currency": "123"}),
        admin.post(reverse("admin:tenancy_user_add"), {"email": "x", "password1": "a", "password2": "b"}),
        admin.post(reverse("admin:password_change"), {"old_password": "x", "new_password1": "a"}),
        admin.post(connection, {"connector_type": "DROPZONE_JSON_V1", "mode": "sftp", "port": "x"}),
        admin.post(
            connection, {"connector_type": "DROPZONE_JSON_V1", "mode": "filesystem", "export_path": "x"}
        ),
        Client(headers={"accept-language": "de"}, enforce_csrf_checks=True).post(reverse("admin:login"), {}),
        german().get(reverse("admin:login")),
        *second_factor_pages(own),
        *(
            german().post(reverse("admin:login"), {"username": own.rows[User].email, "password": "wrong"})
            for _ in range(settings.AXES_FAILURE_LIMIT)
        ),
    ]

    assert {page.status_code for page in pages} == {200, 403, 404, 429}
    assert not_german(pages, own) == []


def test_a_failing_connection_and_an_answer_nobody_understands_are_german(own, marked):
    error = Fault(LOGIN_REFUSED, "").as_error(stage=Stage.CONNECT, attempt=3, at=timezone.now())
    ERPConnection.objects.update(
        circuit_opened_at=timezone.now(),
        circuit_reason=error,
        poll_error={**error, "since": error["time"]},
        last_test_success=False,
    )
    AckFile.objects.update(
        status=AckFileStatus.MALFORMED, reason=Message("ack.status_unknown", value=Message("ack.value_list"))
    )
    client = german(factories.user(own.org, Role.ADMIN))
    pages = [
        client.get(address(name, own))
        for name in (
            "index", "erp_connectors_erpconnection_changelist", "erp_connectors_erpconnection_change",
            "erp_connection_test", "erp_connectors_ackfile_changelist", "erp_connectors_ackfile_change",
            "erp_connectors_erpexport_change", "orders_draftorder_change", "erp_connectors_ackfile_action",
        )
    ]  # fmt: skip
    pages.append(client.post(address("erp_connection_test", own), follow=True))

    assert not_german(pages, own) == []


def test_what_is_not_german_is_found():
    page = '<h1 title="Say what">⟦Auftrag ⟧PO-1</h1><p>It is sent</p><pre>raw</pre><input type="submit" value="Go">'

    assert [text.split(":")[0] for text in foreign(page, ["PO-1"])] == ["'Say what'", "'It is sent'", "'Go'"]


def second_factor_pages(own: World) -> Iterator[Any]:
    """What only somebody sees who has one, or must."""
    person = factories.user(own.org, Role.OPS)
    secret, made = second_factors.set_up(person)
    client = german(person)
    pages = [reverse(f"admin:second_factor{ending}") for ending in ("", "_codes", "_off")]
    yield from (client.get(page) for page in pages)
    yield client.post(pages[2], {"code": second_factors.wrong(secret)})
    yield client.post(pages[1], {"code": made[0]})
    yield client.post(pages[2], {"code": made[0]})
    door = german()
    door.post(reverse("admin:login"), {"username": person.email, "password": factories.PASSWORD})
    yield door.get(reverse("admin:second_factor_code"))
    yield german(factories.user(own.org)).post(pages[0], {"code": "1"})


def not_german(pages: Iterable[Any], own: World) -> list[str]:
    data = data_of(*shown(own))
    return list(dict.fromkeys(text for page in pages for text in foreign(page.content.decode(), data)))


def shown(own: World) -> Iterator[Any]:
    yield from own.rows.values()
    for model in (Customer, DraftOrder):
        yield from model.objects.for_org(own.org)
    yield from DraftOrderLine.objects.all()
