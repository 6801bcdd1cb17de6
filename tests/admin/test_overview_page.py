"""The front page as each role gets it: what it says, what there is to press, and where that leads."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from erp_connectors.admin.overview import rules
from erp_connectors.admin.overview.rules import RULES
from erp_connectors.faults import FOLDER_MISSING, HOST_KEY_CHANGED, Fault
from erp_connectors.models import AckFile, ERPConnection
from erp_connectors.services.status.attention import NeedKind
from erp_connectors.states import AckFileStatus, ConnectionStatus, ExportStatus, FailedAs
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.services.status.test_overview import NOW, connection, export, failed, hold

FRONT = reverse("admin:index")


@pytest.fixture
def org(db):
    return factories.org()


@pytest.fixture
def working(org, tmp_path):
    return connection(org, tmp_path)


@pytest.fixture
def problem(org, working):
    """Something of everything that a list shows."""
    for _ in range(3):
        failed(working, FOLDER_MISSING)
    refused = {
        "code": "REFUSED_BY_ERP",
        "params": {"error_code": "ERP: <b>&", "message": "Unknown customer <b>4711"},
    }
    for _ in range(2):
        failed(working, FOLDER_MISSING, failed_as=FailedAs.REFUSED, error=refused)
    failed(working, FOLDER_MISSING, failed_as=FailedAs.UNKNOWN)
    export(
        working,
        ExportStatus.ACKED,
        conflict_json={"file": "x", "erp_order_id": "SO-2", "time": NOW.isoformat()},
    )
    for _ in range(2):
        export(working, overdue_at=NOW)
    late = Fault(FOLDER_MISSING, "in /in").as_error(stage="stage", attempt=1, at=NOW)
    export(working, ExportStatus.PENDING, error_json=late, created_at=NOW - timedelta(days=1))
    for what in (AckFileStatus.MALFORMED, AckFileStatus.UNMATCHED):
        AckFile.objects.create(org=org, connection=working, name=what, status=what)
    for status in (DraftStatus.READY, DraftStatus.NEEDS_REVIEW, DraftStatus.APPROVED):
        factories.draft(org, status=status, lines=0)


def client_of(org, role=Role.ADMIN, **headers):
    client = Client(**headers)
    client.force_login(factories.user(org, role))
    return client


def page(org, role=Role.ADMIN):
    return client_of(org, role).get(FRONT).content.decode()


def needs(client):
    """(title, count, what to press, where it leads) of each line."""
    context = client.get(FRONT).context
    return [
        (line.title, line.step and line.step.label, line.step and line.step.url) for line in context["lines"]
    ]


def test_every_kind_of_need_has_its_words():
    assert set(RULES) == set(NeedKind)


@pytest.mark.parametrize("role", [*Role, None])
def test_each_link_shows_the_very_rows_that_were_counted(org, problem, role):
    other = connection(factories.org(), Path("/srv/other"))
    failed(other, FOLDER_MISSING)
    client = client_of(org if role else None, role)

    followed = 0
    for title, _, url in needs(client):
        shown = client.get(url).context["cl"]
        expected = int(re.match(r"\d+", title)[0])
        assert (shown.queryset.count(), url) == (expected, url)
        followed += 1
    assert followed >= 7


def test_each_role_gets_what_it_may_do(org, working, problem):
    hold(working, HOST_KEY_CHANGED)

    steps = {role: {label for _, label, _ in needs(client_of(org, role))} for role in Role}

    assert steps[Role.ADMIN] >= {
        "Compare old and new key",
        "Show and retry",
        "Show and push",
        "Show and approve",
    }
    assert steps[Role.INTEGRATOR] == {"Compare old and new key", "Show"}
    assert steps[Role.OPS] == {None, "Show", "Show and retry", "Show and push", "Show and approve", "Review"}
    assert steps[Role.VIEWER] == {None, "Show"}
    change = reverse("admin:erp_connectors_erpconnection_change", args=[working.pk])
    assert change in page(org, Role.INTEGRATOR)
    assert change not in page(org, Role.OPS)


def test_the_server_is_asked_for_its_key_by_a_form_not_by_a_link(org, working):
    hold(working, HOST_KEY_CHANGED)
    host_key = reverse("admin:erp_connection_host_key", args=[working.pk])

    assert f'<form method="post" action="{host_key}">' in page(org)
    assert f'href="{host_key}"' not in page(org)


def test_what_the_erp_and_the_server_say_is_shown_as_text(org, problem):
    shown = page(org)

    assert "Unknown customer &lt;b&gt;4711" in shown
    assert "<b>" not in shown


def test_the_code_of_a_fault_links_to_its_row_of_the_docs(org, working, settings):
    hold(working, HOST_KEY_CHANGED)
    code = f"<code>{HOST_KEY_CHANGED.code}</code>"

    assert page(org).count(code) == 2  # in the list of what needs attention, and on the connection's card
    settings.DOCS_URL = "https://docs.example.com"
    link = f'<a href="https://docs.example.com/faults.md#{HOST_KEY_CHANGED.code}">{code}</a>'
    assert page(org).count(link) == 2


def test_staff_see_the_org_of_a_problem_and_an_org_sees_its_own_only(org, working, problem, tmp_path):
    other = factories.org(name="Andere AG")
    hold(connection(other, tmp_path))

    staff, members = page(None), page(org)

    assert "Andere AG" in staff
    assert org.name in staff
    assert "Andere AG" not in members


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (Role.ADMIN, "Connect an ERP"),
        (Role.INTEGRATOR, "Connect an ERP"),
        (Role.OPS, "an admin or integrator of your organisation must connect the ERP"),
        (Role.VIEWER, "an admin or integrator of your organisation must connect the ERP"),
        (None, "The admins and integrators of an organisation connect its ERP"),
    ],
)
def test_without_a_connection_it_says_what_to_do_first(org, role, said):
    assert said in page(org if role else None, role)
    assert "Nothing needs your attention" not in page(org if role else None, role)


def test_a_disabled_connection_alone_is_no_connection(org, working):
    ERPConnection.objects.update(status=ConnectionStatus.DISABLED)

    assert "Connect an ERP" in page(org)


def test_where_nothing_is_wrong_it_says_so_and_when_something_last_worked(org, working):
    assert needs(client_of(org, Role.ADMIN)) == []
    last = f'<time datetime="{working.last_success_at:%Y-%m-%dT%H:%M}'
    often = page(org).count(last)
    ERPConnection.objects.update(last_success_at=None)
    assert often > page(org).count(last)


def test_charts_are_also_tables_and_their_numbers_are_svg_in_every_language(org, working):
    export(working, ExportStatus.ACKED, answered_at=NOW)

    shown = client_of(org, headers={"Accept-Language": "de"}).get(FRONT).content.decode()

    assert '<caption class="visually-hidden">Exporte je Tag</caption>' in shown
    charts = "".join(re.findall(r'<svg class="chart".*?</svg>', shown, re.DOTALL))
    numbers = re.findall(r' (?:x|y|x1|y1|cx|cy|width|height|points)="([^"]*)"', charts)
    assert len(numbers) > 20
    assert all(re.fullmatch(r"[-0-9. ]+|[-0-9.]+,[-0-9.]+ [-0-9.]+,[-0-9.]+", number) for number in numbers)
    assert "style=" not in shown


def test_the_part_that_is_refreshed_is_the_page_without_its_frame(org, problem):
    client = client_of(org)
    part = client.get(f"{FRONT}?part").content.decode()

    assert "<html" not in part
    assert 'id="needs-heading"' in part
    assert "no-store" in client.get(FRONT).headers["Cache-Control"]


def test_who_is_logged_out_is_sent_to_log_in(db):
    answer = Client().get(f"{FRONT}?part")

    assert (answer.status_code, urlsplit(answer.headers["Location"]).path) == (302, reverse("admin:login"))


def test_the_page_costs_the_same_however_much_there_is(
    org, working, problem, tmp_path, django_assert_num_queries
):
    clients = [client_of(org), client_of(None, None)]
    for _ in range(3):
        theirs = connection(factories.org(), tmp_path)
        hold(theirs)
        failed(theirs, FOLDER_MISSING)
    # The session, the user, the user's org, and what the overview itself asks.
    for client, asked in zip(clients, (17, 16), strict=True):
        with django_assert_num_queries(asked):
            client.get(FRONT)


def test_each_part_of_a_connections_card_has_a_style():
    area = Path(rules.__file__).parent
    template = (area / "templates/admin/erp_connectors/_health_card.html").read_text()
    styles = (area / "static/erp_connectors/overview.css").read_text()

    used = set(re.findall(r'class="(card-[a-z]+)', template))

    assert used >= {"card-state", "card-warning"}
    assert used <= set(re.findall(r"\.(card-[a-z]+)", styles))
