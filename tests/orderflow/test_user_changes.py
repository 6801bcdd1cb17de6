"""A change of who may get in is audited, and closes what was open before it."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orderflow.accounts import users
from orderflow.accounts.lockout import locks_on
from orderflow.accounts.models import Token
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "ein anderes Kennwort"
SECRETS = (factories.PASSWORD, NEW_PASSWORD, "pbkdf2", "md5$")


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def admin(org):
    return factories.user(org, Role.ADMIN)


@pytest.fixture
def member(org):
    return factories.user(org, Role.OPS)


def page(user, name="tenancy_user_change"):
    return reverse(f"admin:{name}", args=[user.pk])


def change(admin, person, **fields):
    sent = {"email": person.email, "role": person.role, "is_active": "on", **fields}
    return client_of(admin).post(
        page(person), {name: value for name, value in sent.items() if value is not None}
    )


def entries(person, action):
    return list(AuditLog.objects.filter(entity_type="User", entity_id=str(person.pk), action=action))


def is_in(client):
    return client.get(reverse("admin:index")).status_code == 200


def no_secrets_in_the_log():
    return not any(secret in str(list(AuditLog.objects.values())) for secret in SECRETS)


def test_a_new_person_is_audited_with_role_and_without_password(admin):
    client_of(admin).post(
        reverse("admin:tenancy_user_add"),
        {"email": "Neu@Example.com", "role": "OPS", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    )

    person = User.objects.get(email="neu@example.com")
    (entry,) = entries(person, Action.USER_CREATED)
    assert (entry.actor, entry.org) == (admin, admin.org)
    assert entry.after == {"email": "neu@example.com", "role": "OPS", "is_active": True}
    assert no_secrets_in_the_log()


def test_a_new_role_is_audited_with_before_and_after_only_of_what_changed(admin, member):
    change(admin, member, role="VIEWER")

    (entry,) = entries(member, Action.USER_CHANGED)
    assert (entry.actor, entry.before, entry.after) == (admin, {"role": "OPS"}, {"role": "VIEWER"})


def test_saving_without_a_change_is_no_entry_and_ends_nothing(admin, member):
    session = client_of(member)

    change(admin, member)

    assert entries(member, Action.USER_CHANGED) == []
    assert is_in(session)


@pytest.mark.parametrize("fields", [{"role": "VIEWER"}, {"is_active": None}], ids=["role", "switched off"])
def test_sessions_and_tokens_end_and_do_not_come_back(admin, member, fields):
    session, stranger = client_of(member), client_of(factories.user(member.org))
    Token.objects.create(member)

    change(admin, member, **fields)
    change(admin, member)

    assert not is_in(session)
    assert is_in(stranger)
    assert not Token.objects.filter(user=member).exists()


def test_another_address_ends_nothing_but_is_audited(admin, member):
    session = client_of(member)

    change(admin, member, email="Neu@Example.com")

    (entry,) = entries(member, Action.USER_CHANGED)
    assert entry.after == {"email": "neu@example.com"}
    assert is_in(session)


def test_a_password_set_by_an_admin_is_audited_and_ends_what_was_open(admin, member):
    session = client_of(member)
    Token.objects.create(member)

    answer = client_of(admin).post(
        page(member, "auth_user_password_change"),
        {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    )

    assert answer.status_code == 302
    (entry,) = entries(member, Action.PASSWORD_CHANGED)
    assert entry.actor == admin
    assert not is_in(session)
    assert not Token.objects.filter(user=member).exists()
    assert no_secrets_in_the_log()


def test_a_weak_password_is_refused_in_words_and_not_audited(admin, member):
    answer = client_of(admin).post(
        page(member, "auth_user_password_change"), {"new_password1": "kurz", "new_password2": "kurz"}
    )

    assert "too short" in answer.content.decode()
    assert entries(member, Action.PASSWORD_CHANGED) == []


@pytest.mark.parametrize("role", [*Role, None])
def test_everybody_changes_their_own_password_and_stays_logged_in_here_only(org, role):
    person = factories.user(org if role else None, role)
    here, elsewhere = client_of(person), client_of(person)
    passwords = {
        "old_password": factories.PASSWORD,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    }

    answer = here.post(reverse("admin:password_change"), passwords, follow=True)

    person.refresh_from_db()
    assert answer.status_code == 200
    assert person.check_password(NEW_PASSWORD)
    assert (is_in(here), is_in(elsewhere)) == (True, False)
    (entry,) = entries(person, Action.PASSWORD_CHANGED)
    assert entry.actor == person


def test_the_old_password_must_be_known(member):
    passwords = {"old_password": "wrong", "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}

    client_of(member).post(reverse("admin:password_change"), passwords)

    member.refresh_from_db()
    assert member.check_password(factories.PASSWORD)
    assert entries(member, Action.PASSWORD_CHANGED) == []


def test_an_admin_may_switch_another_admin_off(admin):
    other = factories.user(admin.org, Role.ADMIN)

    change(admin, other, is_active=None)

    other.refresh_from_db()
    assert not other.is_active


@pytest.mark.parametrize("fields", [{"role": Role.OPS}, {"is_active": False}])
def test_an_org_keeps_its_last_admin_whoever_comes_first(admin, fields):
    """The second of two admins who take each other out at the same moment."""
    other = factories.user(admin.org, Role.ADMIN)
    User.objects.filter(pk=admin.pk).update(role=Role.OPS)
    for name, value in fields.items():
        setattr(other, name, value)

    with pytest.raises(users.LastAdmin):
        users.change_user(other, actor=admin)

    other.refresh_from_db()
    assert (other.role, other.is_active) == (Role.ADMIN, True)


def test_the_page_says_why_the_last_admin_stays(admin, monkeypatch):
    other = factories.user(admin.org, Role.ADMIN)
    # As it is for the second of two admins, whose page was open before the first was done.
    client = client_of(admin)
    User.objects.filter(pk=admin.pk).update(role=Role.OPS)
    monkeypatch.setattr(User, "can", lambda self, capability: self.is_active)

    answer = client.post(page(other), {"email": other.email, "role": "OPS", "is_active": "on"})

    assert "last admin" in answer.content.decode()


def test_platform_staff_may_close_an_org(admin):
    change(factories.user(None), admin, is_active=None)

    admin.refresh_from_db()
    assert not admin.is_active


def guess(person, times=5, address="10.0.0.1"):
    for _ in range(times):
        Client().post(
            reverse("admin:login"), {"username": person.email, "password": "wrong"}, REMOTE_ADDR=address
        )


def log_in(person, address="10.0.0.1"):
    sent = {"username": person.email, "password": factories.PASSWORD}
    return Client().post(reverse("admin:login"), sent, REMOTE_ADDR=address).status_code == 302


def test_an_admin_sees_the_lock_and_opens_it(admin, member):
    guess(member)
    assert not log_in(member)
    client = client_of(admin)

    shown = client.get(page(member)).content.decode()
    client.post(page(member, "tenancy_user_unlock"))

    assert "Locked out" in shown
    assert "10.0.0.1" in shown
    assert log_in(member)
    (entry,) = entries(member, Action.USER_UNLOCKED)
    assert (entry.actor, entry.before) == (admin, {"failed_logins": 5})
    assert "Locked out" not in client.get(page(member)).content.decode()


def test_who_is_not_locked_out_has_no_button_and_opening_is_no_entry(admin, member):
    guess(member, times=4)
    client = client_of(admin)

    assert "Locked out" not in client.get(page(member)).content.decode()
    AccessAttempt.objects.all().delete()
    client.post(page(member, "tenancy_user_unlock"))
    assert entries(member, Action.USER_UNLOCKED) == []


def test_looking_at_the_address_of_the_button_opens_nothing(admin, member):
    guess(member)

    client_of(admin).get(page(member, "tenancy_user_unlock"))

    assert not log_in(member)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPS])
def test_nobody_else_opens_it(member, role):
    guess(member)
    stranger = factories.user(factories.org() if role == Role.ADMIN else member.org, role)

    answer = client_of(stranger).post(page(member, "tenancy_user_unlock"))

    assert answer.status_code == (404 if role == Role.ADMIN else 403)
    assert not log_in(member)


def test_a_new_password_opens_the_lock_too(admin, member):
    guess(member)

    users.set_password(member, factories.PASSWORD, actor=admin)

    assert log_in(member)


def test_a_lock_on_the_account_from_everywhere_is_shown_as_that(member, settings):
    settings.LOGIN_FAILURES_PER_ACCOUNT = 8
    for n in range(8):
        guess(member, times=1, address=f"10.1.0.{n}")

    (lock,) = locks_on(member.email, now=timezone.now())
    assert lock.network is None
    assert lock.until > timezone.now() + timedelta(minutes=14)
