"""What people and programs send, when it is refused and when our own code breaks on it."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from orderflow.second_factor import codes
from orderflow.tenancy.roles import Role
from tests import factories, second_factors
from tests.leaks.canaries import random_text

pytestmark = pytest.mark.deep

LOGIN = "/api/v1/auth/login"


def text_of(*answers):
    return "\n".join(answer.content.decode("utf-8", "replace") + str(answer.headers) for answer in answers)


def test_a_wrong_password_at_either_login(leaks):
    org, wrong = factories.org(), leaks.canary("wrong password")
    person = factories.user(org)
    told = text_of(
        Client().post("/admin/login/", {"username": person.email, "password": wrong.value}),
        APIClient().post(LOGIN, {"email": person.email, "password": wrong.value}, format="json"),
        APIClient().post(LOGIN, {"email": person.email, "password": [wrong.value]}, format="json"),
        APIClient().post(LOGIN, "{" + json.dumps(wrong.value), content_type="application/json"),
    )

    leaks.look(org, person, answers=told)


def test_a_second_factor_and_its_recovery_codes(leaks):
    org = factories.org()
    person, door = factories.user(org), Client()
    secret, made = second_factors.set_up(person)
    leaks.canary("second factor", codes.as_text(secret))
    leaks.canary("second factor in bytes", secret.hex())
    for code in made[:6]:
        leaks.canary("recovery code", code)
        leaks.canary("recovery code without dashes", codes.written_plainly(code))
    credentials = {"email": person.email, "password": factories.PASSWORD}
    told: list[Any] = [
        APIClient().post(LOGIN, {**credentials, "code": given}, format="json")
        for given in (made[0], made[0], made[1][:-1], [made[2]])
    ]
    told.append(door.post("/admin/login/", {"username": person.email, "password": factories.PASSWORD}))
    told += [door.post("/admin/login/code/", {"code": given}) for given in (made[3][:-1], made[4])]
    told.append(door.get("/admin/second-factor/"))
    told += [door.post(f"/admin/second-factor/{page}/", {"code": made[5][:-1]}) for page in ("codes", "off")]

    assert {answer.status_code for answer in told} == {200, 302, 401, 422}
    leaks.look(org, person, answers=text_of(*told))


SECRETS = ("password", "ssh_key", "ssh_key_passphrase", "next_ssh_key")


def test_a_secret_field_that_is_refused_or_taken(leaks):
    org = factories.org()
    told = [answer for name in SECRETS for answer in sent(org, name, leaks.canary(name))]

    assert {answer.status_code for answer in told} & {400, 422}
    leaks.look(org, answers=text_of(*told))


def sent(org, name, secret):
    """By the API in every wrong shape, and by the form beside a field that is wrong."""
    config = {"mode": "sftp", "host": "erp.example.com", "username": "x", "export_path": "/in"}
    client = APIClient()
    client.force_authenticate(factories.user(org, Role.ADMIN))
    told: list[Any] = []
    for value in (secret.value, [secret.value], {"a": secret.value}, secret.value * 400):
        for more in ({}, {"port": "many"}, {"mode": "filesystem"}):
            body = {"connector_type": "DROPZONE_JSON_V1", "config": {**config, **more, name: value}}
            told.append(
                client.post(
                    "/api/v1/connectors", body, format="json", headers={"Idempotency-Key": random_text(9)}
                )
            )
    browser = Client()
    browser.force_login(factories.user(org, Role.ADMIN))
    form = {
        "connector_type": "DROPZONE_JSON_V1",
        **config,
        name: secret.value,
    }
    told.append(browser.post(reverse("admin:erp_connectors_erpconnection_add"), {**form, "port": "many"}))

    return told


@pytest.mark.parametrize("debug", [True, False])
def test_our_code_breaks_on_a_request(leaks, settings, monkeypatch, debug):
    """Neither the page nor the log shows what was sent, the cookies, variables or settings."""
    settings.DEBUG = debug
    org = factories.org()
    password, cookie = leaks.canary("password"), leaks.canary("cookie", random_text(60))
    for name in ("SECRET_KEY", "ENCRYPTION_MASTER_KEY"):
        leaks.canary(name, getattr(settings, name))
    settings.EMAIL_HOST_PASSWORD = leaks.canary("e-mail password").value
    settings.ENCRYPTION_PREVIOUS_KEYS = [leaks.canary("previous key", random_text(64)).value]
    settings.DATABASES["default"]["PASSWORD"], before = (
        leaks.canary("database password").value,
        settings.DATABASES["default"].get("PASSWORD"),
    )

    def broken(request, *args, **options):
        sent = dict(request.POST)
        raise RuntimeError(f"unforeseen with {len(sent)} fields")

    monkeypatch.setattr(
        "django.contrib.auth.forms.AuthenticationForm.__init__", lambda form, request, **_: broken(request)
    )
    browser = Client(raise_request_exception=False)
    for name in (settings.CSRF_COOKIE_NAME, "other"):
        browser.cookies[name] = cookie.value
    try:
        answer = browser.post("/admin/login/", {"username": "x", "password": password.value})
        monkeypatch.undo()
        settings.ENCRYPTION_PREVIOUS_KEYS = []
        assert answer.status_code == 500
        assert ("unforeseen" in answer.content.decode()) == debug
        settings.DEBUG = False
        leaks.look(org, answer=answer.content.decode())
    finally:
        settings.DATABASES["default"]["PASSWORD"] = before
