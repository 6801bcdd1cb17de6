"""Every route there is, of the admin and the API: what it says to browsers, and which methods it knows."""

from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter
from rest_framework.test import APIClient

from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
NOBODY = UUID(int=7)
EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def paths(resolver=None, before="/"):
    """Each route once, with ids that nobody has."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from paths(entry, before + literal(entry.pattern))
        elif isinstance(entry, URLPattern):
            yield before + literal(entry.pattern)


def literal(pattern):
    text = getattr(pattern, "_route", None)
    if text is None:
        return plain(pattern.regex.pattern)
    for name, converter in pattern.converters.items():
        kind = {UUIDConverter: str(NOBODY), IntConverter: "7"}.get(type(converter), str(NOBODY))
        start = text.index("<")
        assert name in text[start : text.index(">") + 1]
        text = text[:start] + kind + text[text.index(">") + 1 :]
    return text


def plain(regex):
    """REST framework's routers and the admin write regular expressions."""
    text = regex.lstrip("^").removesuffix(r"\Z").removesuffix("$").removesuffix("/?")
    while "(?P<" in text:
        start = text.index("(?P<")
        depth, end = 0, start
        for end in range(start, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
        text = text[:start] + str(NOBODY) + text[end + 1 :]
    return text.replace("\\", "")


def every_path():
    return sorted({path for path in paths() if "language/" not in path})


def staff():
    client = Client()
    client.force_login(factories.user(None))
    return client


def test_the_walk_finds_the_admin_and_the_api():
    found = every_path()

    assert len(found) > 100
    assert {"/admin/login/", "/api/v1/draft-orders", "/api/v1/auth/login", "/healthz", "/metrics"} <= set(
        found
    )
    assert f"/admin/orders/draftorder/{NOBODY}/change/" in found


@pytest.mark.parametrize("client_of", [Client, staff], ids=["nobody", "staff"])
def test_every_answer_carries_the_headers_and_is_kept_by_nobody(client_of):
    client = client_of()
    for path in every_path():
        answer = client.get(path)
        # No worker runs here, and readiness says so.
        assert answer.status_code < 500 or path == "/readyz", path
        for name, value in EXPECTED.items():
            assert answer.headers.get(name) == value, (path, name)
        policy = answer.headers["Content-Security-Policy"]
        for directive in (
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ):
            assert directive in policy, path
        assert "unsafe" not in policy, path
        assert "camera=()" in answer.headers["Permissions-Policy"], path
        assert "no-store" in answer.headers["Cache-Control"], path


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "FOO"])
def test_a_method_that_a_route_does_not_know_is_refused(method):
    client = staff()
    for path in every_path():
        answer = client.generic(method, path)
        if path.startswith("/api/") and method in ("PUT", "DELETE", "PATCH"):
            assert 400 <= answer.status_code < 500, path
        else:
            assert answer.status_code in ((401, 403, 404, 405) if path.startswith("/api/") else (405,)), path


@pytest.mark.parametrize("method", ["TRACK", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/me"])
def test_so_are_methods_of_other_protocols(method, path):
    assert staff().generic(method, path).status_code == 405


def test_nobody_changes_anything_by_a_link():
    """Requests from elsewhere bring no token: each POST of the admin is refused before its view runs."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(factories.user(None))
    for path in every_path():
        if path.startswith("/admin/"):
            assert client.post(path).status_code in (403, 404, 405), path


def test_a_session_without_its_csrf_token_changes_nothing_over_the_api():
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(factories.user(factories.org(), Role.ADMIN))
    for path in every_path():
        if path.startswith("/api/v1/") and "auth/login" not in path:
            answer = client.post(path, {}, format="json")
            assert answer.status_code in (401, 403, 404, 405), path
