"""A text that only looks like an address neither finds its user nor counts against them."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from rest_framework.test import APIClient

from orderflow.audit.models import Action, AuditLog
from orderflow.tenancy.addresses import stored_form
from orderflow.tenancy.models import User
from orderflow.tenancy.roles import Role
from orderflow.user_admin.forms import NewUserForm
from tests import factories

EMAIL = "miki.smith@example.com"
# Dotless i, dotted I, long s, Kelvin sign, full-width m, Cyrillic i, a zero-width space, NUL.
LOOK_ALIKES = [
    "m\u0131ki.smith@example.com", "m\u0130ki.smith@example.com", "miki.\u017fmith@example.com",
    "mi\u212ai.smith@example.com",
    "\uff4diki.smith@example.com", "m\u0456ki.smith@example.com", "miki.smith@example.com\u200b",
    "miki\0.smith@example.com",
]  # fmt: skip


@pytest.fixture
def user(db, settings):
    settings.LOGINS_PER_MINUTE = 10_000
    return User.objects.create_user(EMAIL, factories.PASSWORD, org=factories.org(), role=Role.OPS)


def log_in(email, password=factories.PASSWORD):
    body = {"email": email, "password": password}
    return APIClient().post("/api/v1/auth/login", body, format="json", REMOTE_ADDR="10.0.0.1")


@pytest.mark.parametrize("email", LOOK_ALIKES, ids=ascii)
def test_it_finds_no_user(user, email):
    assert not User.objects.by_email(email).exists()
    assert log_in(email).status_code in (401, 422)
    assert log_in(EMAIL).status_code == 200


@pytest.mark.parametrize("email", ["MIKI.Smith@Example.COM", f" {EMAIL} "])
def test_the_same_address_in_other_case_is_the_same_user(user, email):
    assert User.objects.by_email(email).get() == user


@pytest.mark.parametrize("email", LOOK_ALIKES, ids=ascii)
def test_wrong_passwords_for_it_lock_nobody_out(user, email):
    for _ in range(3):
        log_in(email, "wrong")
        Client().post("/admin/login/", {"username": email, "password": "wrong"}, REMOTE_ADDR="10.0.0.1")

    assert not AuditLog.objects.filter(action=Action.LOGIN_FAILED, entity_id=str(user.pk)).exists()
    assert log_in(EMAIL).status_code == 200


def test_wrong_passwords_for_the_address_in_other_case_count_together(user):
    for email in (EMAIL, EMAIL.upper(), EMAIL.title(), EMAIL, EMAIL.upper()):
        log_in(email, "wrong")

    assert log_in(EMAIL).status_code == 429


@pytest.mark.parametrize("email", [*LOOK_ALIKES, "a@exämple.com"], ids=ascii)
def test_no_user_is_created_with_such_an_address(db, email):
    form = NewUserForm({"email": email, "password1": "a-good-pass-word", "password2": "a-good-pass-word"})
    if not email.isascii() or "\0" in email:
        assert form.errors.keys() == {"email"}
    if not email.isascii():
        with pytest.raises(ValidationError):
            User.objects.create_user(email)


def test_the_database_keeps_one_spelling(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="Miki@example.com")


def test_no_code_compares_addresses_in_any_case():
    root = Path(__file__).parents[2]
    files = [file for folder in ("orderflow", "erp_connectors") for file in (root / folder).rglob("*.py")]
    assert [file for file in files if re.search(r"(email|username)__i\w+", file.read_text("utf-8"))] == []


def test_a_longer_text_is_not_cut_to_an_address():
    assert stored_form("a" * 255) == ""
    assert stored_form("a" * 254) == "a" * 254
