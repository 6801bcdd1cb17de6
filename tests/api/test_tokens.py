"""Tokens: made by logging in, kept as hashes, listed and revoked by their owner; sessions work beside them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from orderflow.accounts.models import Token
from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.roles import Role
from tests import factories

API = "/api/v1"
LOGIN = f"{API}/auth/login"
TOKENS = f"{API}/auth/tokens"


@pytest.fixture
def user(db):
    return factories.user(factories.org(), Role.VIEWER)


def log_in(user, **more):
    body = {"email": user.email, "password": factories.PASSWORD, **more}
    return APIClient().post(LOGIN, body, format="json")


def bearing(token):
    return APIClient(HTTP_AUTHORIZATION=f"Token {token}")


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_token_is_named_lasts_as_long_as_asked_and_is_not_kept(user):
    made = log_in(user, name="nightly import", expires_in_days=7).json()

    kept = Token.objects.get()
    assert (made["name"], made["id"]) == ("nightly import", str(kept.public_id))
    assert abs(kept.expiry - timezone.now() - timedelta(days=7)) < timedelta(minutes=5)
    assert made["token"] not in (kept.digest, kept.token_key)
    assert bearing(made["token"]).get(f"{API}/draft-orders").status_code == 200


@pytest.mark.parametrize(
    ("more", "field"),
    [({"expires_in_days": 0}, "expires_in_days"), ({"expires_in_days": 400}, "expires_in_days"),
     ({"name": "x" * 101}, "name"), ({"name": "a\x00"}, "name"), ({"email": "nobody"}, "email")],
)  # fmt: skip
def test_what_is_wrong_with_a_login_is_named(user, more, field):
    answer = log_in(user, **more)

    assert code(answer) == (422, "VALIDATION_ERROR")
    assert set(answer.json()["error"]["details"]) == {field}


def test_ones_tokens_are_listed_newest_first_without_the_tokens_themselves(user):
    first, second = (log_in(user, name=name).json() for name in ("one", "two"))
    log_in(factories.user(user.org), name="somebody else's")

    listed = bearing(first["token"]).get(TOKENS).json()

    assert [(row["name"], row["current"]) for row in listed] == [("two", False), ("one", True)]
    assert not any(made["token"] in str(listed) for made in (first, second))


def test_a_revoked_token_is_worth_nothing_and_the_others_stay(user):
    mine, other = (log_in(user).json() for _ in range(2))

    assert bearing(mine["token"]).delete(f"{TOKENS}/{other['id']}").status_code == 204

    assert code(bearing(other["token"]).get(TOKENS)) == (401, "AUTH_REQUIRED")
    assert bearing(mine["token"]).get(TOKENS).status_code == 200


def test_nobody_revokes_or_finds_anothers_token(user):
    colleague = factories.user(user.org, Role.ADMIN)
    mine, theirs = log_in(user).json(), log_in(colleague).json()

    assert code(bearing(theirs["token"]).delete(f"{TOKENS}/{mine['id']}")) == (404, "NOT_FOUND")
    assert Token.objects.filter(user=user).exists()


def test_an_expired_token_is_worth_nothing_and_not_listed(user):
    old, good = log_in(user).json(), log_in(user).json()
    Token.objects.filter(public_id=old["id"]).update(expiry=timezone.now() - timedelta(seconds=1))

    assert code(bearing(old["token"]).get(TOKENS)) == (401, "AUTH_REQUIRED")
    assert [row["id"] for row in bearing(good["token"]).get(TOKENS).json()] == [good["id"]]


def test_the_oldest_tokens_make_room(user):
    Token.objects.bulk_create(Token(user=user, digest=f"{n:0128}", token_key=f"{n:015}") for n in range(20))
    Token.objects.update(created=timezone.now() - timedelta(days=1))

    token = log_in(user).json()["token"]

    assert Token.objects.filter(user=user).count() == 20
    assert bearing(token).get(TOKENS).status_code == 200


def test_who_is_switched_off_gets_nothing_for_an_old_token(user):
    token = log_in(user).json()["token"]
    user.is_active = False
    user.save()

    assert code(bearing(token).get(TOKENS)) == (401, "AUTH_REQUIRED")
    assert code(log_in(user)) == (401, "AUTH_REQUIRED")


@pytest.mark.parametrize(
    "header",
    ["Token", "Token a b", "Token x", "Token \xff\xfe", "Token \x00", "Bearer x", "Token " + "x" * 5000],
)
def test_an_odd_header_is_no_token(db, header):
    answer = APIClient(raise_request_exception=False).get(TOKENS, HTTP_AUTHORIZATION=header)

    assert code(answer) == (401, "AUTH_REQUIRED")


def test_a_session_from_the_log_in_page_works_and_needs_the_csrf_token(user):
    browser = Client(enforce_csrf_checks=True)
    form = browser.get("/admin/login/")
    csrf = form.cookies["csrftoken"].value
    right = {"username": user.email, "password": factories.PASSWORD, "csrfmiddlewaretoken": csrf}
    browser.post("/admin/login/?next=/api/v1/docs", right)
    other = log_in(user).json()["id"]

    assert browser.get(TOKENS).status_code == 200
    assert code(browser.delete(f"{TOKENS}/{other}")) == (403, "FORBIDDEN")
    token = browser.cookies["csrftoken"].value
    assert browser.delete(f"{TOKENS}/{other}", headers={"X-CSRFToken": token}).status_code == 204


def test_logins_are_audited_with_the_address(user):
    log_in(user)
    APIClient().post(LOGIN, {"email": user.email, "password": "wrong"}, format="json")

    rows = AuditLog.objects.order_by("created_at").values_list("action", "entity_id", "ip")
    assert list(rows) == [
        (Action.LOGIN_SUCCEEDED, str(user.pk), "127.0.0.1"),
        (Action.LOGIN_FAILED, str(user.pk), "127.0.0.1"),
    ]


def test_a_new_password_revokes_the_tokens_of_the_old_one(user):
    log_in(user)
    stranger = factories.user(user.org)
    log_in(stranger)

    user.set_password("a new correct horse battery")
    user.save()

    assert [token.user for token in Token.objects.all()] == [stranger]


def test_who_is_switched_off_has_no_tokens_when_switched_on_again(user):
    log_in(user)

    for active in (False, True):
        user.is_active = active
        user.save()

    assert not Token.objects.exists()


def test_logging_in_with_an_older_hash_revokes_nothing(user, settings):
    log_in(user)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]

    log_in(user)

    assert Token.objects.count() == 2
