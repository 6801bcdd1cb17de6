"""A list takes only the parameters that its own filters and links use, and none that reads another table."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Field, ForeignKey
from django.test import Client
from django.urls import resolve, reverse
from rest_framework.test import APIClient

from orderflow.audit.models import Action
from orderflow.audit.services import Entry, record
from orderflow.tenancy.roles import Role
from tests import factories

LOOKUPS = ("", "__exact", "__gte", "__lt", "__startswith", "__iregex", "__isnull", "__in")
LISTS = ("draft-orders", "customers", "erp-exports", "audit-log", "connectors")


@pytest.fixture
def staff(client: Client, db: Any) -> Client:
    """A user who may open every list and sees every row."""
    client.force_login(factories.user(None))
    return client


@pytest.fixture
def request_of_staff(rf: Any, db: Any) -> Any:
    made = rf.get("/")
    made.user = factories.user(None)
    return made


def lists() -> Iterator[tuple[Any, Any, str]]:
    """Return the model, page and address of each list of the admin."""
    for model, page in admin.site._registry.items():
        yield model, page, reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def columns(model: Any) -> Iterator[str]:
    yield "pk"
    yield from (field.name for field in model._meta.get_fields() if isinstance(field, Field))


def across_relations(model: Any) -> Iterator[str]:
    """Return a path to every column of every table that a row leads to, or is led to from."""
    for relation in model._meta.get_fields():
        if relation.is_relation and relation.related_model:
            yield from (f"{relation.name}__{column}" for column in columns(relation.related_model))
            if isinstance(relation, ForeignKey):
                yield from (f"{relation.attname}__{column}" for column in columns(relation.related_model))


def test_no_list_of_the_admin_answers_a_question_about_another_table(request_of_staff):
    answered = [
        f"{address}?{parameter}"
        for model, page, address in lists()
        for path in across_relations(model)
        for lookup in LOOKUPS
        if (parameter := path + lookup) not in page.linked
        and page.lookup_allowed(parameter, "a", request_of_staff)
    ]
    assert answered == []


def test_no_list_of_the_admin_takes_a_lookup_that_its_filters_do_not_make(request_of_staff):
    answered = []
    for model, page, address in lists():
        made = page._filter_parameters(request_of_staff)
        asked = {f"{name}{lookup}" for name in {*columns(model), *made} for lookup in LOOKUPS}
        asked |= {f"{name}__password__gte" for name in made} | {"no_such_column__gte"}
        answered += [
            f"{address}?{parameter}"
            for parameter in asked - made - set(page.linked)
            if page.lookup_allowed(parameter, "a", request_of_staff)
        ]
    assert answered == []


def test_links_of_ours_cross_a_relation_only_to_its_key():
    for model, page, _ in lists():
        crossing = {name for path in across_relations(model) if (name := f"{path}__exact") in page.linked}
        assert crossing <= {"org__id__exact", "connection__id__exact"}


def test_a_question_about_another_table_is_refused_and_not_just_ignored(staff):
    for model, _, address in lists():
        for path in {path.split("__")[0]: path for path in across_relations(model)}.values():
            assert staff.get(address, {f"{path}__gte": "a"}).status_code == 400, (address, path)


def test_a_popup_returns_no_other_column_than_the_key(staff, request_of_staff):
    for model, page, address in lists():
        others = set(columns(model)) - {"pk", model._meta.pk.name}
        assert [name for name in others if page.to_field_allowed(request_of_staff, name)] == []
        assert staff.get(address, {"_popup": "1", "_to_field": others.pop()}).status_code == 400


def test_a_password_cannot_be_guessed_from_the_audit_log(client, db):
    org = factories.org()
    client.force_login(factories.user(org, Role.INTEGRATOR))
    address = reverse("admin:audit_auditlog_changelist")

    for parameter in (
        "actor__password__gte",
        "actor__password__startswith",
        "actor_id__password__gte",
        "actor__gte",
    ):
        assert client.get(address, {parameter: "pbkdf2"}).status_code == 400


@pytest.mark.parametrize("name", LISTS)
def test_no_list_of_the_api_answers_a_question_about_another_table(db, name):
    program = APIClient()
    user = factories.user(None)
    program.force_authenticate(user)
    org = factories.org()
    factories.draft(org)
    record(Entry(action=Action.DRAFT_APPROVED, org_id=org.pk, entity_type="User", entity_id="1", actor=user))
    view = resolve(f"/api/v1/{name}").func.cls  # type: ignore[attr-defined]  # of DRF's
    filters = set(view.filterset_class.base_filters) if hasattr(view, "filterset_class") else set()
    before = program.get(f"/api/v1/{name}").json()

    for path in across_relations(view.queryset.model):
        assert path not in filters
    asked = {f"{path}__gte": "a" for path in across_relations(view.queryset.model)}
    answer = program.get(f"/api/v1/{name}", asked)
    assert answer.status_code == 422 or answer.json() == before
