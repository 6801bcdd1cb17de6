"""The frame around every page: whose it is, its policy, its language."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from orderflow.tenancy.roles import Role
from tests import factories

FRONT = reverse("admin:index")


@pytest.fixture
def member(db):
    return factories.user(factories.org(name="Muster & Co"), Role.OPS)


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def policy(answer):
    parts = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


def test_it_says_who_is_logged_in_as_what_and_where(member):
    page = client_of(member).get(FRONT).content.decode()

    assert member.email in page
    assert "Operations · Muster &amp; Co" in page
    assert "Platform staff" in client_of(factories.user(None)).get(FRONT).content.decode()


def test_every_page_forbids_scripts_and_styles_that_are_not_our_files(member):
    anonymous, staff = Client(), client_of(factories.user(None))
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
    ]
    answers = [
        anonymous.get(reverse("admin:login")),
        *(staff.get(url) for url in (FRONT, *lists, "/nowhere")),
    ]

    for answer in answers:
        assert policy(answer)["default-src"] == ["'self'"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert policy(answer)["frame-ancestors"] == policy(answer)["object-src"] == ["'none'"]


def test_no_page_has_a_script_or_a_style_within(member):
    for url in (FRONT, reverse("admin:orders_draftorder_changelist"), reverse("admin:password_change")):
        page = client_of(member).get(url).content.decode()
        assert "<style" not in page
        assert "<script>" not in page
        assert " style=" not in page


def test_a_language_is_chosen_and_kept(member):
    client = client_of(member)
    assert "Log out" in client.get(FRONT).content.decode()

    answer = client.post(reverse("set_language"), {"language": "de", "next": FRONT}, follow=True)

    assert "Abmelden" in answer.content.decode()
    assert "Übersicht" in client.get(FRONT).content.decode()


def test_a_link_elsewhere_is_not_followed_after_choosing_a_language(member):
    answer = client_of(member).post(
        reverse("set_language"), {"language": "de", "next": "https://evil.example/"}
    )

    assert answer.url == "/"


def test_the_daily_work_comes_first_in_the_navigation(member):
    page = client_of(member).get(FRONT).content.decode()
    names = ("draftorder", "customer", "document", "erpexport", "ackfile")
    places = [page.index(f"{name}/") for name in names]

    assert places == sorted(places)
    assert reverse("admin:tenancy_user_changelist") not in page


def test_the_icon_is_ours(client):
    assert client.get("/favicon.ico").url.endswith("orderflow/favicon.svg")


@pytest.mark.parametrize("page", ["admin:password_change", "admin:password_change_done"])
def test_the_pages_of_ones_own_password_have_the_header_of_all_pages(member, page):
    text = client_of(member).get(reverse(page)).content.decode()

    assert 'name="language"' in text
    assert f'<a href="{reverse("admin:password_change")}">' in text
