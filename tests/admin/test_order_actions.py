"""The buttons of an order's page: offered where the table of moves and the role allow, confirmed, and never stale."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from erp_connectors.circuit import open_circuit
from erp_connectors.faults import LOGIN_REFUSED, Fault
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.states import Stage
from orderflow.audit.models import Action, AuditLog
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories
from tests.pages import levels

pytestmark = pytest.mark.django_db
S = DraftStatus
OFFERED = {
    S.NEW: set(),
    S.EXTRACTED: {"ready"},
    S.NEEDS_REVIEW: {"ready", "reject"},
    S.READY: {"approve"},
    S.REJECTED: set(),
    S.APPROVED: {"push", "review"},
    S.PUSHING: set(),
    S.PUSHED: set(),
    S.ERROR: {"retry", "review"},
}
ENDS = {
    "ready": (S.NEEDS_REVIEW, S.READY),
    "reject": (S.NEEDS_REVIEW, S.REJECTED),
    "approve": (S.READY, S.APPROVED),
    "push": (S.APPROVED, S.PUSHING),
    "retry": (S.ERROR, S.PUSHING),
    "review": (S.ERROR, S.NEEDS_REVIEW),
}
MAY = {Role.ADMIN, Role.OPS}


@pytest.fixture
def org(tmp_path, settings):
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    made = factories.org()
    factories.connection(made, {"mode": "filesystem", "export_path": str(tmp_path)})
    return made


def as_role(org, role=Role.OPS):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def page(draft):
    return reverse("admin:orders_draftorder_change", args=[draft.pk])


def action_url(draft, name):
    return reverse("admin:orders_draftorder_action", args=[draft.pk, name])


def offered(client, draft):
    shown = client.get(page(draft)).content.decode()
    return {name for name in ENDS if action_url(draft, name) in shown}


def confirm(client, draft, name):
    """As a person does: looks at what will happen, then confirms just that."""
    asked = client.get(action_url(draft, name))
    return client.post(
        action_url(draft, name), {"version": asked.context["version"]}, follow=True
    ).content.decode()


def status(draft):
    return DraftOrder.objects.get(pk=draft.pk).status


@pytest.mark.parametrize("state", list(S))
def test_an_action_is_offered_where_the_state_allows_it(org, state):
    assert offered(as_role(org), factories.draft(org, status=state)) == OFFERED[state]


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("role", list(Role))
def test_who_may_does_it_and_nobody_else_is_asked(org, name, role):
    before, after = ENDS[name]
    draft, client = factories.draft(org, status=before), as_role(org, role)

    if role in MAY:
        assert "What this does" in client.get(action_url(draft, name)).content.decode()
        assert status(draft) == before
        confirm(client, draft, name)
        assert status(draft) == after
    else:
        assert offered(client, draft) == set()
        assert client.get(action_url(draft, name)).status_code == 403
        assert client.post(action_url(draft, name)).status_code == 403
        assert status(draft) == before


@pytest.mark.parametrize("name", ENDS)
def test_in_any_other_state_it_says_so_and_does_nothing(org, name):
    client = as_role(org)
    for state in S:
        if name in OFFERED[state]:
            continue
        draft = factories.draft(org, status=state)

        told = client.post(action_url(draft, name), {"version": draft.updated_at.isoformat()})

        assert (told.status_code, client.get(action_url(draft, name)).status_code) == (302, 302)
        assert status(draft) == state
    assert set(levels(client.get(told.url))) == {"error"}
    assert not ERPExport.objects.exists()


def test_what_was_changed_since_it_was_looked_at_is_not_approved(org):
    draft, client = factories.draft(org, status=S.READY), as_role(org)
    seen = client.get(action_url(draft, "approve")).context["version"]
    draft.lines.update(qty=1000)
    draft.save()

    told = client.post(action_url(draft, "approve"), {"version": seen}, follow=True)

    assert levels(told) == ["error"]
    assert status(draft) == S.READY


def test_a_push_says_which_file_goes_where_and_a_second_click_sends_nothing(org, tmp_path):
    draft, client = factories.draft(org), as_role(org)

    asked = client.get(action_url(draft, "push"))
    assert f"sales_order_{str(draft.pk)[:8]}_" in asked.content.decode()
    assert str(tmp_path) in asked.content.decode()
    first = client.post(action_url(draft, "push"), {"version": asked.context["version"]}, follow=True)
    second = client.post(action_url(draft, "push"), {"version": asked.context["version"]}, follow=True)

    assert [levels(answer) for answer in (first, second)] == [["success"], ["error"]]
    assert ERPExport.objects.filter(draft_order=draft).count() == 1


def test_without_a_connection_a_push_can_not_be_confirmed_and_is_refused():
    org = factories.org()
    draft, client = factories.draft(org), as_role(org)

    asked = client.get(action_url(draft, "push"))
    told = client.post(action_url(draft, "push"), {"version": asked.context["version"]}, follow=True)

    assert 'type="submit" class="default"' not in asked.content.decode()
    assert levels(told) == ["error"]
    assert (status(draft), ERPExport.objects.count()) == (S.APPROVED, 0)


def test_what_is_missing_is_told_instead_of_asking(org):
    draft, client = factories.draft(org, status=S.NEEDS_REVIEW), as_role(org)
    draft.lines.filter(line_no=2).update(uom="")

    asked = client.get(action_url(draft, "ready"))
    told = client.post(action_url(draft, "ready"), {"version": asked.context["version"]}, follow=True)

    assert "line 2: unit is missing" in asked.content.decode()
    assert "line 2: unit is missing" in told.content.decode()
    assert status(draft) == S.NEEDS_REVIEW


def test_back_to_review_takes_the_approval_back_on_record(org):
    draft, client = factories.draft(org), as_role(org)

    confirm(client, draft, "review")

    draft.refresh_from_db()
    assert (draft.status, draft.approved_by, draft.approved_at) == (S.NEEDS_REVIEW, None, None)
    assert AuditLog.objects.get(action=Action.APPROVAL_REVERTED).entity_id == str(draft.pk)


@pytest.mark.parametrize("name", ENDS)
def test_another_orgs_order_is_not_there(org, name):
    draft, stranger = factories.draft(org, status=ENDS[name][0]), as_role(factories.org(), Role.ADMIN)

    assert stranger.get(action_url(draft, name)).status_code == 404
    assert stranger.post(action_url(draft, name)).status_code == 404
    assert status(draft) == ENDS[name][0]


def test_an_unknown_action_is_not_there(org):
    assert as_role(org).get(action_url(factories.draft(org), "delete")).status_code == 404


def test_a_post_without_the_token_of_a_form_of_ours_does_nothing(org):
    draft = factories.draft(org)
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.user(org))

    assert client.post(action_url(draft, "push")).status_code == 403
    assert status(draft) == S.APPROVED


def test_the_page_that_asks_says_if_the_connection_holds_the_order(org):
    draft = factories.draft(org)
    client = as_role(org)
    asked = action_url(draft, "push")
    assert "The order waits until" not in client.get(asked).content.decode()
    connection = ERPConnection.objects.get()
    open_circuit(
        connection,
        Fault(LOGIN_REFUSED).as_error(stage=Stage.CONNECT, attempt=1, at=timezone.now()),
        now=timezone.now(),
    )

    shown = client.get(asked).content.decode()

    assert "The order waits until the connection works again: " in shown
    assert str(LOGIN_REFUSED.meaning) in shown
