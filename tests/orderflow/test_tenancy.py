"""One door to an org's rows, and one table of rights."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction

from orderflow.audit.models import AuditLog
from orderflow.orders.models import Customer, DraftOrder
from orderflow.tenancy.models import Org, User
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.roles import Capability, Role
from tests import factories

C = Capability
RIGHTS = {
    Role.ADMIN: {C.READ, C.APPROVE, C.PUSH, C.CONNECT, C.AUDIT, C.ADMINISTER},
    Role.INTEGRATOR: {C.READ, C.CONNECT, C.AUDIT},
    Role.OPS: {C.READ, C.APPROVE, C.PUSH},
    Role.VIEWER: {C.READ},
}
OURS = ("tenancy", "orders", "audit", "erp_connectors")


def test_each_role_may_what_the_specification_says():
    users = {role: User(org=Org(name="x"), role=role) for role in Role}
    may = {role: {one for one in Capability if user.can(one)} for role, user in users.items()}

    assert may == {role: set(RIGHTS[role]) for role in Role}


def test_platform_staff_may_everything_and_who_is_switched_off_nothing():
    assert all(User().can(capability) for capability in Capability)
    assert not any(User(is_active=False).can(capability) for capability in Capability)
    assert not any(
        User(org=Org(name="x"), role=Role.ADMIN, is_active=False).can(capability) for capability in Capability
    )


def test_only_platform_staff_are_superusers():
    member = User(org=Org(name="x"), role=Role.ADMIN)

    assert (User().is_superuser, member.is_superuser) == (True, False)
    assert (User().is_staff, member.is_staff, User(is_active=False).is_staff) == (True, True, False)
    assert not member.has_perm("orders.change_draftorder")


def test_every_model_with_an_org_is_behind_the_door():
    scoped = [
        model for model in apps.get_models() if model._meta.app_label in OURS and hasattr(model, "org_id")
    ]

    assert len(scoped) >= 6
    assert [
        model for model in scoped if not isinstance(model._default_manager.all(), OrgScopedQuerySet)
    ] == []


@pytest.mark.django_db
def test_a_member_sees_its_own_org_and_platform_staff_all():
    own, other = factories.org(), factories.org()
    for org in (own, other):
        factories.draft(org)
    member, staff = factories.user(own), factories.user(None)

    for model in (DraftOrder, Customer):
        assert {row.org for row in model.objects.visible_to(member)} == {own}
        assert {row.org for row in model.objects.visible_to(staff)} == {own, other}
        assert {row.org for row in model.objects.for_org(own.pk)} == {own}
    assert list(Org.objects.visible_to(member)) == [own]
    assert set(User.objects.visible_to(member)) == set(User.objects.filter(org=own))


@pytest.mark.django_db
def test_nobody_else_sees_anything():
    org = factories.org()
    factories.draft(org)

    off: list[Any] = [factories.user(org, is_active=False), factories.user(None, is_active=False)]
    for nobody in [*off, AnonymousUser()]:
        for model in (DraftOrder, Customer, Org, User, AuditLog):
            assert not model.objects.visible_to(nobody).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(("with_org", "role"), [(True, None), (False, Role.OPS), (True, "BOSS"), (True, "")])
@pytest.mark.every_database
def test_the_database_refuses_half_a_member(with_org, role):
    org = factories.org() if with_org else None

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("x@example.com", org=org, role=role)


@pytest.mark.django_db
def test_an_address_is_one_user_in_any_case():
    org = factories.org()
    user = User.objects.create_user("Anna@Example.com", org=org, role=Role.OPS)

    assert user.email == "anna@example.com"
    assert User.objects.get_by_natural_key("ANNA@example.com") == user
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ANNA@example.com", org=org, role=Role.OPS)
