"""Bodies, hosts, links elsewhere, cookies, and how long a login lasts."""

import json
from datetime import timedelta

import pytest
from django.conf import settings as site
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orderflow.tenancy.roles import Role
from tests import factories
from tests.orderflow.test_settings import good, manage

pytestmark = pytest.mark.django_db
FRONT, LOGIN = "/admin/", "/admin/login/"


@pytest.fixture
def member():
    return factories.user(factories.org(), Role.ADMIN)


def logged_in(user):
    client = Client()
    assert client.post(LOGIN, {"username": user.email, "password": factories.PASSWORD}).status_code == 302
    return client


def test_a_body_that_is_too_large_is_refused_unread_with_its_limit(member, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024**2
    large = "x" * (2 * 1024**2 + 1)
    page = logged_in(member).post(LOGIN, large, content_type="multipart/form-data; boundary=b")
    program = Client().post("/api/v1/auth/login", large, content_type="application/json")

    assert (page.status_code, program.status_code) == (413, 413)
    assert "larger than 2 MB" in page.content.decode()
    assert program.json()["error"]["message"] == f"The body is larger than {2 * 1024**2} bytes."


def test_the_api_reads_no_more_than_an_order_needs(member):
    answer = Client().post("/api/v1/auth/login", '"' + "x" * 1024**2, content_type="application/json")

    assert answer.status_code == 413
    assert "1048576 bytes" in answer.json()["error"]["message"]


SEARCHES = [
    "/admin/orders/draftorder/?q=", "/admin/orders/customer/?q=", "/admin/audit/auditlog/?q=",
    "/admin/erp_connectors/erpexport/?q=", "/admin/erp_connectors/ackfile/?q=",
    "/admin/autocomplete/?app_label=orders&model_name=draftorder&field_name=customer&term=",
    "/api/v1/draft-orders?search=", "/api/v1/customers?search=",
]  # fmt: skip


def test_a_search_of_very_many_words_is_refused_and_one_of_many_is_not(member):
    browser = logged_in(member)

    assert {url: browser.get(url + "a " * 2000).status_code for url in SEARCHES} == dict.fromkeys(
        SEARCHES, 422
    )
    assert {url: browser.get(url + "a " * 50).status_code for url in SEARCHES} == dict.fromkeys(SEARCHES, 200)
    chunked = {"Transfer-Encoding": "chunked"}
    assert browser.get(SEARCHES[-1] + "a " * 2000, headers=chunked).status_code == 422


@pytest.mark.parametrize("word", ["a-", "! "])
def test_so_are_words_that_no_space_parts(member, word):
    browser = logged_in(member)

    for url in (SEARCHES[0], SEARCHES[-1]):
        assert [browser.get(url + word * count).status_code for count in (2000, 50)] == [422, 200]
    refused = browser.get("/api/v1/draft-orders", {"search": word * 2000}).json()["error"]
    assert refused["details"] == {"search": [{"code": "max_words", "message": "Write at most 50 words."}]}


@pytest.mark.parametrize("length", ["-1", "1e9", "", "٣", "abc"])
def test_a_length_that_is_no_number_breaks_nothing(length):
    assert Client().post(LOGIN, {}, CONTENT_LENGTH=length).status_code in (200, 400, 403)


def test_more_fields_than_the_largest_order_has_are_refused(member, settings):
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = site.DATA_UPLOAD_MAX_NUMBER_FIELDS // 100

    assert logged_in(member).post(LOGIN, {f"f{n}": "" for n in range(most + 1)}).status_code == 400


@pytest.mark.parametrize("path", [LOGIN, "/api/v1/me", "/healthz", "/"])
def test_another_host_is_never_answered(path):
    for host in ("evil.example", "testserver.evil.example", "testserver:80@evil.example", "a b"):
        answer = Client().get(path, HTTP_HOST=host)

        assert answer.status_code == 400, host
        assert "evil" not in answer.content.decode()


def test_the_host_that_a_proxy_header_names_is_not_believed(member):
    answer = Client().get(FRONT, HTTP_X_FORWARDED_HOST="evil.example")

    assert "evil" not in answer["Location"]


ELSEWHERE = [
    "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "javascript:alert(1)", "http:evil.example", "https:/evil.example", "\x08//evil.example", " //evil.example",
    "https://testserver@evil.example/", "data:text/html,x",
]  # fmt: skip


@pytest.mark.parametrize("url", ELSEWHERE)
def test_nobody_is_sent_elsewhere_after_logging_in(member, url):
    given = {"username": member.email, "password": factories.PASSWORD}
    told = Client().post(LOGIN, {**given, "next": url})["Location"]
    asked = logged_in(member).get(LOGIN, {"next": url})["Location"]
    language = logged_in(member).post(reverse("set_language"), {"language": "de", "next": url})["Location"]

    assert told in (FRONT, "/")
    assert asked in (FRONT, "/")
    assert language in (FRONT, "/")


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(member):
    cookie = logged_in(member).cookies["sessionid"]

    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        "Lax",
        "/",
        "",
    )


PRODUCTION = """
from django.conf import settings as s
from django.core.management import call_command
from django.test import Client
print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.LANGUAGE_COOKIE_SECURE, s.SESSION_COOKIE_DOMAIN)
call_command("collectstatic", interactive=False, verbosity=0)
for headers in ({"HTTP_X_FORWARDED_PROTO": "https"}, {}):
    answer = Client().get("/admin/login/", HTTP_HOST="orders.example.com", **headers)
    print(answer.status_code, answer.headers.get("Strict-Transport-Security"), answer.headers.get("Location"))
    print(answer.cookies.output())
"""


@pytest.mark.deep
def test_in_production_cookies_are_bound_to_host_and_tls_and_browsers_told_to_stay_with_it(tmp_path):
    done = manage(tmp_path, "shell", "--no-imports", "-c", PRODUCTION, **good())
    names, secure, cookie, plain = done.stdout.splitlines()[:4]

    assert names == "__Host-sessionid True True None"
    assert secure == "200 max-age=31536000; includeSubDomains; preload None"
    assert cookie.startswith("Set-Cookie: __Host-csrftoken=")
    assert cookie.endswith("Path=/; SameSite=Lax; Secure")
    assert plain == "301 None https://orders.example.com/admin/login/"


@pytest.mark.parametrize("wrong", [{"ALLOWED_HOSTS": "*"}, {"DEBUG": "true"}], ids=["any host", "debug"])
def test_production_does_not_start_open(tmp_path, wrong):
    done = manage(tmp_path, **{**good(), **wrong})

    assert done.returncode == 1
    assert next(iter(wrong)) in done.stderr


def test_a_login_that_nobody_used_ends(member, monkeypatch):
    client = logged_in(member)
    later(monkeypatch, timedelta(minutes=site.LOGIN_IDLE_MINUTES - 1))
    assert client.get(FRONT).status_code == 200
    later(monkeypatch, timedelta(minutes=2 * site.LOGIN_IDLE_MINUTES - 2))
    assert client.get(FRONT).status_code == 200
    later(monkeypatch, timedelta(minutes=3 * site.LOGIN_IDLE_MINUTES))

    assert client.get("/api/v1/me").status_code in (401, 403)
    assert client.get(FRONT)["Location"].startswith(LOGIN)


def test_a_login_that_is_used_all_day_ends_nevertheless(member, monkeypatch):
    client = logged_in(member)
    step = timedelta(minutes=site.LOGIN_IDLE_MINUTES - 1)
    passed = timedelta()
    while (passed := passed + step) < timedelta(hours=site.LOGIN_HOURS):
        later(monkeypatch, passed)
        assert client.get(FRONT).status_code == 200
    later(monkeypatch, timedelta(hours=site.LOGIN_HOURS, seconds=1))

    assert client.get(FRONT)["Location"].startswith(LOGIN)


def later(monkeypatch, passed, began=timezone.now):
    at = began() + passed
    monkeypatch.setattr("orderflow.login_expiry.timezone.now", lambda: at)


def test_a_session_of_before_the_log_in_is_not_taken_over(member):
    client = Client()
    client.get(LOGIN)
    session = client.session
    session["planted"] = True
    session.save()
    planted = str(session.session_key)
    client.cookies["sessionid"] = planted
    client.post(LOGIN, {"username": member.email, "password": factories.PASSWORD})

    assert client.cookies["sessionid"].value != planted


def test_after_logging_out_the_cookie_opens_nothing(member):
    client = logged_in(member)
    old = client.cookies["sessionid"].value
    client.post(reverse("admin:logout"))
    stolen = Client()
    stolen.cookies["sessionid"] = old

    assert stolen.get(FRONT).status_code == 302


@pytest.mark.parametrize("password", ["short", "qwerty123456", "749201837465", "meier@gross.example"])
def test_a_weak_password_is_refused(password):
    user = factories.user(None)
    user.email = "meier@gross.example"
    with pytest.raises(ValidationError):
        validate_password(password, user)


def test_an_error_says_nothing_of_the_request_that_made_it(member):
    answer = Client().get("/api/v1/<script>alert(1)</script>")

    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.content)["error"]["code"] == "NOT_FOUND"
    assert "<script>alert" not in Client().get("/<script>alert(1)</script>").content.decode()
