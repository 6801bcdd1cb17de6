"""A token for whoever has a second factor costs a code, and none is given to who must have one and has not."""

import json

import pytest
from rest_framework.test import APIClient

from orderflow.accounts.models import Token
from orderflow.audit.models import Action, AuditLog
from orderflow.second_factor.models import SecondFactor
from orderflow.tenancy.roles import Role
from tests import factories
from tests.second_factors import code, set_up, wrong

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    return factories.user(factories.org(), Role.OPS)


def login(person, password=factories.PASSWORD, **more):
    body = {"email": person.email, "password": password, **more}
    return APIClient().post("/api/v1/auth/login", body, format="json")


def refusal(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_without_a_code_it_is_asked_for(person):
    set_up(person)

    assert refusal(login(person)) == (401, "CODE_REQUIRED")
    assert refusal(login(person, code="")) == (401, "CODE_REQUIRED")
    assert not Token.objects.exists()
    assert not AuditLog.objects.filter(action=Action.LOGIN_SUCCEEDED).exists()


def test_a_wrong_password_is_told_nothing_of_codes(person):
    secret, _ = set_up(person)

    assert refusal(login(person, "wrong", code=code(secret))) == (401, "AUTH_REQUIRED")
    assert SecondFactor.objects.get().last_step == 0


def test_the_code_gives_a_token_once(person):
    secret, _ = set_up(person)
    shown = code(secret)

    assert login(person, code=shown).status_code == 200
    assert refusal(login(person, code=shown)) == (401, "CODE_WRONG")


def test_a_recovery_code_gives_a_token_once(person):
    _, made = set_up(person)

    assert login(person, code=made[0]).status_code == 200
    assert refusal(login(person, code=made[0])) == (401, "CODE_WRONG")


def test_wrong_codes_lock_and_a_right_password_does_not_open(person):
    secret, _ = set_up(person)

    answers = [refusal(login(person, code=wrong(secret))) for _ in range(5)]

    assert answers == [(401, "CODE_WRONG")] * 4 + [(429, "RATE_LIMITED")]
    assert refusal(login(person)) == (429, "RATE_LIMITED")
    assert refusal(login(person, code=code(secret))) == (429, "RATE_LIMITED")


def test_asking_without_a_code_in_between_forgets_no_wrong_one(person):
    secret, _ = set_up(person)

    for _ in range(4):
        login(person, code=wrong(secret))
        login(person)

    assert refusal(login(person, code=wrong(secret))) == (429, "RATE_LIMITED")


def test_after_too_many_wrong_codes_a_program_reads_what_is_still_taken(person):
    secret, made = set_up(person)
    SecondFactor.objects.update(wrong_in_a_row=100)

    answer = login(person, code=code(secret))

    assert refusal(answer) == (401, "CODE_WRONG")
    assert "only a recovery code" in answer.json()["error"]["message"]
    assert login(person, code=made[0]).status_code == 200


def test_who_must_have_one_gets_no_token_without(person, settings):
    settings.REQUIRE_SECOND_FACTOR = "all"

    assert refusal(login(person)) == (403, "SECOND_FACTOR_MISSING")
    secret, _ = set_up(person)
    assert login(person, code=code(secret)).status_code == 200


def test_a_token_from_before_it_was_required_opens_nothing(person, settings):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {login(person).json()['token']}")
    assert client.get("/api/v1/me").status_code == 200

    settings.REQUIRE_SECOND_FACTOR = "all"

    assert refusal(client.get("/api/v1/me")) == (403, "SECOND_FACTOR_MISSING")


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "ß" * 20, "٢٨٧٠٨٢", 123456, None, ["1"], "1" * 41])
def test_what_is_no_code_is_refused_in_our_words(person, odd):
    set_up(person)

    body = json.dumps({"email": person.email, "password": factories.PASSWORD, "code": odd})
    answer = APIClient().post("/api/v1/auth/login", body, content_type="application/json")

    assert refusal(answer)[0] in (401, 422)


def test_without_a_second_factor_a_code_is_not_looked_at(person):
    assert login(person, code="123456").status_code == 200
