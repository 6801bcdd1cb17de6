"""Guessing passwords is stopped, in the API and the admin; a named person is never kept out from everywhere."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.db.models import F
from django.test import Client
from rest_framework.test import APIClient

from orderflow.accounts.models import ThrottleCount
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories

LOGIN = "/api/v1/auth/login"


@pytest.fixture(autouse=True)
def _unthrottled(settings):
    settings.LOGINS_PER_MINUTE = 10_000


@pytest.fixture
def few(settings):
    """Fewer failures lock an account or an address than by default, and still more than lock both together."""
    defaults = settings.LOGIN_FAILURES_PER_ACCOUNT, settings.LOGIN_FAILURES_PER_ADDRESS
    assert (settings.AXES_FAILURE_LIMIT, *defaults) == (5, 50, 30)
    settings.LOGIN_FAILURES_PER_ACCOUNT = settings.LOGIN_FAILURES_PER_ADDRESS = 8
    return 8


@pytest.fixture
def user(db):
    return factories.user(factories.org(), Role.OPS)


def api(email, password="wrong", address="10.0.0.1", **headers):
    body = {"email": email, "password": password}
    return APIClient().post(LOGIN, body, format="json", REMOTE_ADDR=address, **headers)


def page(email, password="wrong", address="10.0.0.1", **headers):
    return Client().post(
        "/admin/login/", {"username": email, "password": password}, REMOTE_ADDR=address, **headers
    )


FACES = pytest.mark.parametrize("face", [api, page])


def good(user, face=api, **more):
    return face(user.email, factories.PASSWORD, **more).status_code == (200 if face is api else 302)


def test_after_five_wrong_passwords_a_program_reads_when_to_come_back(user):
    answers = [api(user.email) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429, 429]
    body = answers[-1].json()["error"]
    assert (body["code"], body["request_id"]) == ("RATE_LIMITED", answers[-1]["X-Request-ID"])
    assert "15 minutes" in body["message"]
    assert 0 < int(answers[-1]["Retry-After"]) <= 15 * 60


def test_after_five_wrong_passwords_the_log_in_page_says_what_happened_and_how_long(user):
    answers = [page(user.email) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429, 429]
    assert "Too many wrong passwords" in answers[-1].content.decode()
    assert "15 minutes" in answers[-1].content.decode()
    assert 0 < int(answers[-1]["Retry-After"]) <= 15 * 60


@FACES
def test_the_right_password_does_not_open_a_lock_and_both_doors_have_the_same_one(user, face):
    for _ in range(5):
        face(user.email)

    assert not good(user)
    assert not good(user, page)


@FACES
def test_the_lock_ends_by_itself_even_while_guessing_goes_on(user, face):
    for _ in range(5):
        face(user.email)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=14))
    face(user.email)
    assert not good(user, face)

    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=1))
    assert good(user, face)


@FACES
def test_guesses_from_one_address_keep_nobody_out_elsewhere(user, face):
    for _ in range(6):
        face(user.email)

    assert good(user, face, address="10.0.0.2")


def test_one_account_is_one_however_it_is_written(user):
    for written in (user.email, user.email.upper(), f" {user.email}", user.email.title(), user.email):
        page(written)

    assert page(user.email).status_code == 429


def test_a_right_password_forgets_the_wrong_ones_before_it(user):
    for _ in range(3):
        for _ in range(4):
            api(user.email)
        assert good(user)


def test_many_addresses_together_close_an_account_but_not_where_its_owner_works(user, few):
    assert good(user, address="192.0.2.7")
    for n in range(few):
        api(user.email, address=f"10.1.0.{n}")

    assert api(user.email, address="10.2.0.1").status_code == 429
    assert good(user, address="192.0.2.7")
    assert good(user, page, address="192.0.2.7")


def test_where_a_login_only_failed_is_not_familiar(user, few):
    for n in range(few):
        api(user.email, address=f"10.1.0.{n}")

    assert not good(user, address="10.1.0.1")
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15))
    assert good(user, address="10.1.0.1")


@FACES
def test_one_address_does_not_try_a_password_at_everybody(user, few, face):
    for n in range(few):
        face(f"user{n}@elsewhere.example")

    assert face(user.email).status_code == 429
    assert good(user, face, address="10.0.0.2")


def test_who_has_an_ipv6_network_has_one_address(user):
    for n in range(5):
        api(user.email, address=f"2001:db8:1:2::{n:x}")

    assert api(user.email, address="2001:db8:1:2:ffff::1").status_code == 429
    assert api(user.email, address="2001:db8:1:3::1").status_code == 401


@FACES
def test_behind_a_proxy_the_clients_address_counts_and_what_it_claims_does_not(user, settings, face):
    settings.TRUSTED_PROXIES = 1
    for n in range(5):
        face(user.email, HTTP_X_FORWARDED_FOR=f"1.1.1.{n}, 203.0.113.5")

    assert face(user.email, HTTP_X_FORWARDED_FOR="9.9.9.9, 203.0.113.5").status_code == 429
    assert good(user, face, HTTP_X_FORWARDED_FOR="203.0.113.6")


@FACES
def test_each_attempt_is_audited_also_while_locked_out(user, face):
    for _ in range(6):
        face(user.email)

    rows = AuditLog.objects.filter(action=Action.LOGIN_FAILED, entity_id=str(user.pk), ip="10.0.0.1")
    assert rows.count() == 6
    assert factories.PASSWORD not in str(list(AccessAttempt.objects.values()))


@pytest.mark.parametrize("email", ["", "\x00", "a\x00@example.com", "x" * 3000, "ä" * 300])
def test_an_odd_name_is_counted_like_any_other(db, email):
    answers = [page(email).status_code for _ in range(6)]

    assert set(answers) <= {200, 429}


def test_logins_from_one_address_are_throttled_even_when_right(user, settings):
    settings.LOGINS_PER_MINUTE = 3
    ThrottleCount.objects.all().delete()
    codes = [api(user.email, factories.PASSWORD).status_code for _ in range(8)]

    # At most two minutes were touched, each lets three through.
    assert 3 <= codes.count(200) <= 6
    assert set(codes) == {200, 429}


def test_the_throttle_says_how_long(user, settings):
    settings.LOGINS_PER_MINUTE = 1
    answer = [api(user.email) for _ in range(4)][-1]

    assert answer.json()["error"]["code"] == "RATE_LIMITED"
    assert 0 < int(answer["Retry-After"]) <= 60


def failures(user):
    return AuditLog.objects.filter(action=Action.LOGIN_FAILED, entity_id=str(user.pk))


@FACES
def test_attempts_during_a_lock_are_one_entry_of_the_audit_log_and_not_one_each(user, face):
    for _ in range(5):
        face(user.email)
    assert failures(user).count() == 5

    for _ in range(12):
        assert face(user.email).status_code == 429

    # Counted in spans of a lock's time, of which a lock can touch two.
    assert 1 <= failures(user).count() - 5 <= 2
    assert any(entry.after.get("locked") for entry in failures(user))


def own_password(browser, old):
    typed = {
        "old_password": old,
        "new_password1": "a-new-horse-battery",
        "new_password2": "a-new-horse-battery",
    }
    return browser.post("/admin/password_change/", typed, REMOTE_ADDR="10.0.0.1")


def test_the_own_password_page_takes_as_many_guesses_as_a_login_and_is_audited(user):
    browser = Client()
    browser.force_login(user)

    answers = [own_password(browser, f"guess {n}") for n in range(6)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429, 429]
    assert {entry.after["step"] for entry in failures(user)} == {"password change"}
    assert own_password(browser, factories.PASSWORD).status_code == 429
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


def test_the_own_password_page_keeps_nothing_that_was_typed_there(user):
    browser = Client()
    browser.force_login(user)

    own_password(browser, "nearly the right one")

    kept = str(list(AccessAttempt.objects.values()))
    assert "nearly the right" not in kept
    assert "a-new-horse" not in kept


def test_the_right_password_still_changes_it_on_the_own_password_page(user):
    browser = Client()
    browser.force_login(user)

    assert own_password(browser, factories.PASSWORD).status_code == 302
    user.refresh_from_db()
    assert user.check_password("a-new-horse-battery")
    assert browser.get("/admin/").status_code == 200
