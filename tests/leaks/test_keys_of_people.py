"""What a browser and a program hold once they are in: a session's key and an API token."""

import pytest
from django.test import Client
from rest_framework.test import APIClient

from orderflow.tenancy.roles import Role
from tests import factories
from tests.leaks.canaries import random_text

pytestmark = pytest.mark.deep

LOGIN = "/api/v1/auth/login"


def text_of(*answers):
    return "\n".join(answer.content.decode("utf-8", "replace") + str(answer.headers) for answer in answers)


@pytest.fixture
def person(leaks):
    return factories.user(factories.org(), Role.ADMIN)


def test_a_session_from_login_to_the_error_page(leaks, person, monkeypatch):
    browser = Client(raise_request_exception=False)
    browser.post("/admin/login/", {"username": person.email, "password": factories.PASSWORD})
    # Its row alone may say it, and the files that the database keeps rows in.
    row = ("django_session.session_key", "file test/test_", "file postgres/data/")
    leaks.canary("session key", browser.session.session_key, belongs=row)
    told = [
        browser.get(path)
        for path in ("/admin/", "/admin/orders/draftorder/", "/admin/nowhere/", "/api/v1/me")
    ]
    told.append(browser.post("/admin/orders/customer/add/", {"name": ""}))
    monkeypatch.setattr("orderflow.orders.admin.CustomerAdmin.get_queryset", lambda *_: 1 / 0)
    told.append(browser.get("/admin/orders/customer/"))
    assert told[-1].status_code == 500
    monkeypatch.undo()

    leaks.look(person.org, person, answers=text_of(*told))


def test_an_api_token_from_login_to_logout(leaks, person, monkeypatch):
    program = APIClient(raise_request_exception=False)
    answer = program.post(LOGIN, {"email": person.email, "password": factories.PASSWORD}, format="json")
    token = answer.json()["token"]
    # Its first signs are the index by which its row is found.
    leaks.canary("API token", token[15:])
    wrong = leaks.canary("wrong API token", random_text(64))
    told = []
    for given in (token, wrong.value, f"{token[:20]}{wrong.value[20:]}"):
        program.credentials(HTTP_AUTHORIZATION=f"Token {given}")
        told += [program.get(path) for path in ("/api/v1/me", "/api/v1/auth/tokens", "/api/v1/nowhere")]
        told.append(program.post("/api/v1/draft-orders", {"currency": 1}, format="json"))
    program.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    monkeypatch.setattr("erp_connectors.api.orders.views.Customers.get_queryset", lambda *_: 1 / 0)
    told.append(program.get("/api/v1/customers"))
    monkeypatch.undo()
    assert told[-1].status_code == 500
    told.append(program.post("/api/v1/auth/logout"))

    leaks.look(person.org, person, answers=text_of(*told))
