"""Orders in the admin: long ones, stale ones, and the ways out of review."""

import pytest
from django.test import Client
from django.urls import reverse

from orderflow.orders.admin import EDITABLE_LINES
from orderflow.orders.models import Customer, DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
S = DraftStatus
LIST = "admin:orders_draftorder_changelist"


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def ops(org):
    return client_of(org, Role.OPS)


def client_of(org, role):
    client = Client()
    client.force_login(factories.user(org, role))
    return client


def page_of(draft):
    return reverse("admin:orders_draftorder_change", args=[draft.pk])


def form_of(client, draft):
    """The fields of the page, as a browser would send them back."""
    context = client.get(page_of(draft)).context
    forms = [context["adminform"].form]
    data: dict[str, object] = {}
    for formset in context["inline_admin_formsets"]:
        forms += [formset.formset.management_form, *formset.formset.initial_forms]
    for form in forms:
        data |= {bound.html_name: "" if bound.value() is None else bound.value() for bound in form}
    return {name: value for name, value in data.items() if not name.endswith("DELETE")}


def act(client, action, *drafts):
    data = {"action": action, "_selected_action": [str(draft.pk) for draft in drafts]}
    return client.post(reverse(LIST), data, follow=True).content.decode()


@pytest.mark.deep
def test_an_order_of_five_hundred_lines_is_edited(org, ops):
    draft = factories.draft(org, lines=500)

    ops.post(page_of(draft), {**form_of(ops, draft), "lines-499-internal_sku": "LAST"})

    draft.refresh_from_db()
    assert draft.status == S.NEEDS_REVIEW
    assert draft.lines.get(line_no=500).internal_sku == "LAST"
    assert draft.lines.count() == 500


def test_an_order_too_long_for_a_form_is_still_shown_and_its_header_edited(org, ops):
    draft = factories.draft(org, lines=EDITABLE_LINES + 1)

    assert "1001 (too many to show here)" in ops.get(page_of(draft)).content.decode()
    ops.post(page_of(draft), {**form_of(ops, draft), "notes": "Tor 3"})

    draft.refresh_from_db()
    assert (draft.notes, draft.status) == ("Tor 3", S.NEEDS_REVIEW)


def test_lines_are_counted_once_however_an_order_is_found(org, ops):
    draft = factories.draft(org, lines=3)

    found = ops.get(reverse(LIST), {"q": draft.external_order_number}).context["cl"].result_list

    assert [(row.pk, row.counted_lines) for row in found] == [(draft.pk, 3)]


def test_saving_without_a_change_keeps_the_approval(org, ops):
    draft = factories.draft(org)

    ops.post(page_of(draft), form_of(ops, draft))

    draft.refresh_from_db()
    assert draft.status == S.APPROVED


def test_a_ready_order_is_not_saved_incomplete_and_the_person_is_told(org, ops):
    draft = factories.draft(org, status=S.READY)

    answer = ops.post(page_of(draft), {**form_of(ops, draft), "lines-1-internal_sku": ""}, follow=True)

    assert "Nothing was saved. " in answer.content.decode()
    assert "line 2: SKU is missing" in answer.content.decode()
    assert draft.lines.get(line_no=2).internal_sku


def test_a_page_opened_before_the_push_saves_nothing_after_it(org, ops):
    draft = factories.draft(org)
    form = form_of(ops, draft)
    factories.set_status(draft, S.PUSHING)

    ops.post(page_of(draft), {**form, "notes": "too late"})

    draft.refresh_from_db()
    assert (draft.status, draft.notes) == (S.PUSHING, "Lieferung bis 10 Uhr")


def test_another_orgs_customer_is_not_accepted(org, ops):
    draft, stranger = factories.draft(org), factories.customer(factories.org())

    answer = ops.post(page_of(draft), {**form_of(ops, draft), "customer": str(stranger.pk)})

    assert "valid choice" in answer.content.decode()
    assert DraftOrder.objects.get(pk=draft.pk).customer == draft.customer


def test_no_other_orgs_customer_is_offered(org, ops):
    factories.draft(org)
    stranger = factories.customer(factories.org(), name="Fremde Firma KG")
    search = {"app_label": "orders", "model_name": "draftorder", "field_name": "customer", "term": "Fremde"}

    assert stranger.name not in ops.get(reverse(LIST)).content.decode()
    assert ops.get(reverse("admin:autocomplete"), search).json()["results"] == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INTEGRATOR])
def test_who_only_reads_changes_nothing(org, role):
    reader = client_of(org, role)
    draft = factories.draft(org, status=S.NEEDS_REVIEW)

    answer = reader.post(page_of(draft), {"notes": "changed"})
    act(reader, "ready", draft)
    added = reader.post(reverse("admin:orders_customer_add"), {"name": "Neu GmbH"})

    assert (answer.status_code, added.status_code) == (403, 403)
    assert DraftOrder.objects.get(pk=draft.pk).status == S.NEEDS_REVIEW


def test_a_customer_is_added_to_the_own_org(org, ops):
    ops.post(reverse("admin:orders_customer_add"), {"name": "Neu GmbH", "default_currency": "EUR"})

    assert Customer.objects.get(name="Neu GmbH").org == org


def test_queue_token_and_group_pages_are_not_there():
    staff = Client()
    staff.force_login(factories.user(None))

    page = staff.get(reverse("admin:index")).content.decode()

    assert "/admin/orders/draftorder/" in page
    assert not any(f"/admin/{app}/" in page for app in ("django_q", "knox", "access", "axes", "auth"))
