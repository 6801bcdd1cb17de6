"""A login that has checked the password lets nobody in if the account is changed before it ends."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from orderflow.accounts import users
from orderflow.accounts.models import Token
from orderflow.second_factor import codes, services
from orderflow.tenancy import scope
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from tests import databases, factories, second_factors
from tests.hashers import Meanwhile

NEW_PASSWORD = "another correct horse"


@pytest.fixture
def user(db, settings, monkeypatch):
    settings.LOGINS_PER_MINUTE = 10_000
    settings.PASSWORD_HASHERS = ["tests.hashers.Meanwhile"]
    monkeypatch.setattr(Meanwhile, "then", None)
    monkeypatch.setattr(Meanwhile, "renews", False)
    return factories.user(factories.org(), Role.OPS)


def fresh(user: User) -> User:
    return User.objects.get(pk=user.pk)


def new_password(user):
    users.set_password(fresh(user), NEW_PASSWORD, actor=fresh(user))


def second_factor(user):
    second_factors.set_up(fresh(user))


def switched_off(user):
    person = fresh(user)
    person.is_active = False
    users.change_user(person, actor=factories.user(None))


def other_role(user):
    person = fresh(user)
    person.role = Role.VIEWER
    users.change_user(person, actor=factories.user(None))


def off_and_on_again(user):
    switched_off(user)
    person = fresh(user)
    person.is_active = True
    users.change_user(person, actor=factories.user(None))


CHANGES = [new_password, second_factor, switched_off, other_role, off_and_on_again]


def log_in(user, **more):
    body = {"email": user.email, "password": factories.PASSWORD, **more}
    return APIClient().post("/api/v1/auth/login", body, format="json", REMOTE_ADDR="10.0.0.1")


@pytest.mark.parametrize("change", CHANGES)
def test_a_program_gets_no_token(user, change):
    Meanwhile.then = lambda: change(user)

    assert log_in(user).status_code == 401
    assert not Token.objects.filter(user=user).exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_browser_gets_no_session(user, change):
    Meanwhile.then = lambda: change(user)
    browser = Client()

    browser.post("/admin/login/", {"username": user.email, "password": factories.PASSWORD})

    assert browser.get("/admin/").status_code == 302


def test_a_second_factor_that_is_reset_after_its_code_was_right_lets_no_program_in(user, monkeypatch):
    secret, _ = second_factors.set_up(user)
    second_factors.unused(user)
    Meanwhile.then = lambda: services.reset(fresh(user), actor=factories.user(None))

    assert log_in(user, code=second_factors.code(secret)).status_code == 401
    assert not Token.objects.filter(user=user).exists()


def test_the_renewed_hash_of_the_old_password_does_not_replace_a_new_password(user):
    Meanwhile.renews = True
    Meanwhile.then = lambda: new_password(user)

    log_in(user)

    assert fresh(user).check_password(NEW_PASSWORD)


def test_the_hash_of_a_password_is_still_renewed(user):
    before, Meanwhile.renews = fresh(user).password, True

    assert log_in(user).status_code == 200
    assert fresh(user).password != before


def test_an_own_password_is_not_changed_by_a_page_that_knew_the_one_before(user):
    browser = Client()
    browser.force_login(user)
    Meanwhile.then = lambda: new_password(user)

    page = browser.post(
        "/admin/password_change/",
        {
            "old_password": factories.PASSWORD,
            "new_password1": "of-the-thief-99",
            "new_password2": "of-the-thief-99",
        },
    )

    assert page.context["form"].errors
    assert fresh(user).check_password(NEW_PASSWORD)


def test_a_second_factor_is_not_set_up_by_a_session_that_has_ended(user):
    held = fresh(user)
    users.end_access(fresh(user))
    secret = codes.new_secret()

    with pytest.raises(services.NotSetUp):
        services.set_up(held, secret, second_factors.code(secret))


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", CHANGES)
def test_a_login_that_waits_for_the_change_is_refused(user, change):
    """The change holds the row, the login is past its checks: the token must not be made of what was checked."""
    answers = []

    def login() -> None:
        with scope.everything():
            answers.append(log_in(user).status_code)
        connection.close()

    with transaction.atomic():
        change(user)
        thread = threading.Thread(target=login)
        thread.start()
        databases.wait_until_blocked(thread.is_alive)
    thread.join(60)

    assert answers == [401]
    assert not Token.objects.filter(user=user).exists()
