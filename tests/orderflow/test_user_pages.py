"""Who may make and change which people and orgs in the admin."""

import pytest
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse

from orderflow.tenancy.models import Org, User
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "ein anderes Kennwort"


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def new_user(**fields):
    return {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "email": "neu@example.com", **fields}


def change_page(user):
    return reverse("admin:tenancy_user_change", args=[user.pk])


def test_platform_staff_make_an_org_and_its_first_admin():
    client = client_of(factories.user(None))

    client.post(reverse("admin:tenancy_org_add"), {"name": "Südwind", "slug": "suedwind", "settings": "{}"})
    org = Org.objects.get(slug="suedwind")
    client.post(reverse("admin:tenancy_user_add"), new_user(org=org.pk, role=Role.ADMIN))

    made = authenticate(username="neu@example.com", password=NEW_PASSWORD)
    assert (made.org, made.role) == (org, Role.ADMIN)


def test_an_orgs_admin_makes_no_org():
    client = client_of(factories.user(factories.org(), Role.ADMIN))

    assert client.get(reverse("admin:tenancy_org_add")).status_code == 403


def test_an_orgs_admin_can_add_nobody_to_another_org_or_to_the_platform():
    own, other = factories.org(), factories.org()
    client = client_of(factories.user(own, Role.ADMIN))

    client.post(reverse("admin:tenancy_user_add"), new_user(org=other.pk, role=Role.OPS))
    answer = client.post(reverse("admin:tenancy_user_add"), new_user(email="zwei@example.com", role=""))

    assert User.objects.get(email="neu@example.com").org == own
    assert "This field is required" in answer.content.decode()
    assert not User.objects.filter(email="zwei@example.com").exists()


def test_a_role_without_an_org_is_refused_in_words():
    answer = client_of(factories.user(None)).post(reverse("admin:tenancy_user_add"), new_user(role=Role.OPS))

    assert "Choose an organisation and a role" in answer.content.decode()


def test_a_member_is_not_left_without_a_role():
    org = factories.org()
    member = factories.user(org)

    answer = client_of(factories.user(org, Role.ADMIN)).post(
        change_page(member), {"email": member.email, "role": "", "is_active": "on"}
    )

    member.refresh_from_db()
    assert answer.status_code == 200
    assert member.role == Role.OPS


def test_platform_staff_are_changed_without_getting_a_role():
    staff = factories.user(None)

    client_of(staff).post(change_page(staff), {"email": "chef@example.com", "role": "OPS", "is_active": "on"})

    staff.refresh_from_db()
    assert (staff.email, staff.role) == ("chef@example.com", None)


def test_an_orgs_admin_sets_a_forgotten_password_of_its_own_people_only():
    org = factories.org()
    client, own, stranger = (
        client_of(factories.user(org, Role.ADMIN)),
        factories.user(org),
        factories.user(factories.org()),
    )
    passwords = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}

    for user in (own, stranger):
        client.post(reverse("admin:auth_user_password_change", args=[user.pk]), passwords)

    assert authenticate(username=own.email, password=NEW_PASSWORD)
    assert not authenticate(username=stranger.email, password=NEW_PASSWORD)


def test_the_same_address_in_another_case_is_taken():
    org = factories.org()
    User.objects.create_user("anna@example.com", org=org, role=Role.OPS)

    answer = client_of(factories.user(org, Role.ADMIN)).post(
        reverse("admin:tenancy_user_add"), new_user(email="ANNA@example.com", role=Role.OPS)
    )

    assert "exists" in answer.content.decode()
    assert User.objects.filter(email__iexact="anna@example.com").count() == 1


@pytest.mark.parametrize("role", [Role.INTEGRATOR, Role.OPS, Role.VIEWER])
def test_others_see_no_people(role):
    org = factories.org()
    client = client_of(factories.user(org, role))

    assert client.get(reverse("admin:tenancy_user_changelist")).status_code == 403
    assert client.get(change_page(factories.user(org))).status_code == 403


def test_nobody_changes_their_own_role_nor_switches_themselves_off():
    admin = factories.user(factories.org(), Role.ADMIN)

    client_of(admin).post(
        change_page(admin), {"email": admin.email, "role": Role.VIEWER}
    )  # is_active is not sent: a form would switch it off

    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == (Role.ADMIN, True)
