"""The program behind the wall: what it does every day works, and what somebody forgot leaks nothing."""

import re
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from rest_framework.test import APIClient

from erp_connectors import tasks
from erp_connectors.api.orders.views import Orders
from erp_connectors.config_fields import ConfigError
from erp_connectors.models import ERPExport
from erp_connectors.services.connections.manage import change_connection
from erp_connectors.services.exports.push import push
from erp_connectors.states import ExportStatus
from orderflow.accounts.models import Token
from orderflow.audit.models import Action, AuditLog
from orderflow.login_expiry import BEGAN, LoginExpiryMiddleware
from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.second_factor.models import SecondFactor
from orderflow.second_factor.sealing import opened
from orderflow.tenancy import scope
from orderflow.tenancy.models import User
from orderflow.tenancy.querysets import OrgScopedQuerySet
from orderflow.tenancy.roles import Role
from tests import factories, second_factors
from tests.tenancy.conftest import all_the_way

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]
API = "/api/v1"


@pytest.fixture
def two(wall, make_tenant):
    ours, theirs = make_tenant(), make_tenant()
    with scope.everything():
        for tenant in (ours, theirs):
            factories.draft(tenant.org, status=DraftStatus.READY)
    return ours, theirs


@scope.everything()
def by_token(user):
    return APIClient(HTTP_AUTHORIZATION=f"Token {Token.objects.create(user)[1]}")


def logged_in(user):
    """By the login page, in the open."""
    client = Client()
    answer = client.post(reverse("admin:login"), {"username": user.email, "password": factories.PASSWORD})
    assert answer.status_code == 302
    return client


@pytest.fixture
def forgotten(monkeypatch):
    """Every view has forgotten whose rows it may show."""
    monkeypatch.setattr(OrgScopedQuerySet, "for_org", lambda self, org: self.all())
    monkeypatch.setattr(OrgScopedQuerySet, "visible_to", lambda self, user: self.all())


def orders_of(answer):
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["results"]}


@scope.everything()
def ids(org):
    return {str(pk) for pk in DraftOrder.objects.filter(org=org).values_list("pk", flat=True)}


def test_an_order_goes_all_the_way(two):
    ours, _ = two
    with scope.everything():
        assert all_the_way(ours) == "ACKED"


def test_an_order_goes_all_the_way_over_the_api_and_the_queue(two, settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "sync": True}
    ours, _ = two
    client = by_token(ours.admin)
    (order,) = orders_of(client.get(f"{API}/draft-orders"))

    assert client.post(f"{API}/draft-orders/{order}/approve").status_code == 200
    pushed = client.post(f"{API}/draft-orders/{order}/push", HTTP_IDEMPOTENCY_KEY="k-1")
    again = client.post(f"{API}/draft-orders/{order}/push", HTTP_IDEMPOTENCY_KEY="k-1")

    assert (pushed.status_code, again.status_code) == (202, 200), pushed.content
    assert pushed.json() == again.json()
    with scope.everything():
        assert ERPExport.objects.get().draft_order_id.hex == order.replace("-", "")


@pytest.mark.usefixtures("forgotten")
def test_an_api_view_that_forgot_leaks_nothing(two):
    ours, theirs = two
    client, (other,) = by_token(ours.admin), ids(theirs.org)

    assert orders_of(client.get(f"{API}/draft-orders")) == ids(ours.org)
    assert client.get(f"{API}/draft-orders/{other}").status_code == 404
    assert client.post(f"{API}/draft-orders/{other}/approve").status_code == 404
    assert [row["id"] for row in client.get(f"{API}/connectors").json()["results"]] == [
        str(ours.connection.pk)
    ]
    with scope.everything():
        assert DraftOrder.objects.get(pk=other).status == DraftStatus.READY


@pytest.mark.usefixtures("forgotten")
def test_an_admin_page_that_forgot_leaks_nothing(two):
    ours, theirs = two
    client, (other,) = logged_in(ours.admin), ids(theirs.org)

    page = client.get(reverse("admin:orders_draftorder_changelist")).content.decode()
    assert all(pk in page for pk in ids(ours.org))
    assert other not in page
    assert theirs.admin.email not in client.get(reverse("admin:tenancy_user_changelist")).content.decode()
    # Django's admin says of what is not there that it may have been deleted, and leads away.
    assert client.get(reverse("admin:orders_draftorder_change", args=[other])).status_code == 302


@pytest.mark.usefixtures("forgotten")
def test_without_the_wall_it_would_have_leaked(db, make_tenant):
    """So that the two above test the wall, and not a door that was closed all the same."""
    ours, theirs = make_tenant(), make_tenant()
    order = factories.draft(theirs.org)

    assert orders_of(by_token(ours.admin).get(f"{API}/draft-orders")) == {str(order.pk)}


def test_a_kept_connection_is_handed_from_one_orgs_request_to_anothers(two, wall):
    ours, theirs = two
    clients = {tenant: by_token(tenant.admin) for tenant in two}
    connection = wall.connection

    for tenant in (ours, theirs, ours):
        assert orders_of(clients[tenant].get(f"{API}/draft-orders")) == ids(tenant.org)
    assert APIClient().get(f"{API}/draft-orders").status_code == 401
    assert not DraftOrder.objects.exists()
    assert wall.connection is connection


def test_a_request_that_failed_leaves_nothing_to_the_next(two, monkeypatch):
    ours, theirs = two

    def fail(self, request):
        list(DraftOrder.objects.all())
        raise RuntimeError

    mine, others = by_token(ours.admin), by_token(theirs.admin)
    mine.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(Orders, "list", fail)
        assert mine.get(f"{API}/draft-orders").status_code == 500

    assert scope.current() is scope.NOTHING
    assert orders_of(others.get(f"{API}/draft-orders")) == ids(theirs.org)


def test_a_token_counts_for_more_than_the_browsers_login(two):
    ours, theirs = two
    client = logged_in(ours.admin)
    with scope.everything():
        token = Token.objects.create(theirs.admin)[1]

    answer = client.get(f"{API}/draft-orders", headers={"Authorization": f"Token {token}"})

    assert orders_of(answer) == ids(theirs.org)


def test_platform_staff_see_every_org_and_who_was_switched_off_nobody(two):
    ours, theirs = two
    with scope.everything():
        staff = factories.user(None)
        off = factories.user(ours.org)
    assert orders_of(by_token(staff).get(f"{API}/draft-orders")) == ids(ours.org) | ids(theirs.org)

    client = by_token(off)
    with scope.everything():
        User.objects.filter(pk=off.pk).update(is_active=False)
    assert client.get(f"{API}/draft-orders").status_code == 401


def test_logging_in_works_for_who_is_nobody_yet_and_failures_are_told_to_their_org(two, settings):
    ours, _ = two
    settings.PASSWORD_HASHERS = [
        *settings.PASSWORD_HASHERS,
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]
    with scope.everything():
        # Hashed by one of before, and hashed anew while its owner logs in.
        old = PBKDF2PasswordHasher().encode(factories.PASSWORD, "salt", iterations=1)
        User.objects.filter(pk=ours.admin.pk).update(password=old)

    assert (
        Client().post(reverse("admin:login"), {"username": ours.admin.email, "password": "no"}).status_code
        == 200
    )
    logged_in(ours.admin)
    body = {"email": ours.admin.email, "password": factories.PASSWORD}
    assert APIClient().post(f"{API}/auth/login", body, format="json").status_code == 200

    with scope.within(scope.of_orgs(ours.org.pk)):
        told = [entry.action for entry in AuditLog.objects.filter(entity_type="User").order_by("created_at")]
        assert told == [Action.LOGIN_FAILED, Action.LOGIN_SUCCEEDED, Action.LOGIN_SUCCEEDED]
        assert User.objects.get(pk=ours.admin.pk).last_login


def test_a_second_factor_is_set_up_asked_for_and_reset(two, settings):
    ours, theirs = two
    settings.REQUIRE_SECOND_FACTOR = "all"
    with scope.everything():
        person = factories.user(ours.org)
    client: Any = logged_in(person)
    page = client.get(reverse("admin:second_factor")).content.decode()
    (sealed,) = re.findall(r'name="sealed" value="([^"]+)"', page)
    secret = opened(sealed, person.pk)
    page = client.post(
        reverse("admin:second_factor"), {"sealed": sealed, "code": second_factors.code(secret)}
    )
    made = re.findall(r"<code>([A-Z2-7-]{19})</code>", page.content.decode())

    client = logged_in(person)
    wrong = client.post(reverse("admin:second_factor_code"), {"code": second_factors.wrong(secret)})
    assert "This code is wrong" in wrong.content.decode()
    assert client.post(reverse("admin:second_factor_code"), {"code": made[0]}).status_code == 302
    assert "9 of 10" in client.get(reverse("admin:second_factor")).content.decode()
    body = {"email": person.email, "password": factories.PASSWORD, "code": made[1]}
    assert APIClient().post(f"{API}/auth/login", body, format="json").status_code == 200

    settings.REQUIRE_SECOND_FACTOR = "none"
    reset = reverse("admin:tenancy_user_second_factor", args=[person.pk])
    assert logged_in(theirs.admin).post(reset).status_code == 404
    assert logged_in(ours.admin).post(reset).status_code == 302
    with scope.within(scope.of_orgs(ours.org.pk)):
        assert not SecondFactor.objects.exists()
        told = {entry.action for entry in AuditLog.objects.filter(entity_id=str(person.pk))}
    assert told >= {
        Action.SECOND_FACTOR_SET_UP,
        Action.RECOVERY_CODE_USED,
        Action.LOGIN_FAILED,
        Action.SECOND_FACTOR_RESET,
    }


def test_a_login_that_is_over_sees_nothing_more(two, settings):
    ours, _ = two
    request, seen_by = RequestFactory().get("/"), []
    request.user, request.session = ours.admin, SessionStore()
    settings.LOGIN_HOURS, request.session[BEGAN] = -1, 0

    def view(asked):
        seen_by.append(scope.current())
        return HttpResponse()

    with scope.within(scope.of_user(ours.admin)):
        LoginExpiryMiddleware(view)(request)

    assert seen_by == [scope.NOTHING]


def test_an_address_that_another_org_has_is_refused_in_words(two):
    ours, theirs = two
    client = logged_in(ours.admin)
    form = {"email": theirs.admin.email.upper(), "role": Role.OPS, "usable_password": "true",
            "password1": "a long enough one", "password2": "a long enough one"}  # fmt: skip

    page = client.post(reverse("admin:tenancy_user_add"), form)

    assert page.status_code == 200
    assert "exists" in page.content.decode()


def test_what_platform_staff_did_is_told_by_name_in_the_org(two):
    ours, _ = two
    with scope.everything():
        staff = factories.user(None)
        order = factories.draft(ours.org)
        DraftOrder.objects.filter(pk=order.pk).update(approved_by=staff)

    shown = by_token(ours.admin).get(f"{API}/draft-orders/{order.pk}").json()

    assert shown["approved_by"] == staff.email


def test_an_ack_folder_of_another_org_is_refused_though_its_connection_can_not_be_seen(two):
    ours, theirs = two
    config = {"mode": "filesystem", "export_path": str(ours.inbox), "ack_path": str(theirs.acks)}
    with scope.within(scope.of_user(ours.admin)), pytest.raises(ConfigError, match="another org"):
        change_connection(ours.connection.pk, actor=ours.admin, config=config)


def test_machines_that_watch_see_every_org(two, settings):
    settings.METRICS_TOKEN = "t" * 20
    page = Client().get("/metrics", headers={"Authorization": f"Bearer {'t' * 20}"}).content.decode()

    assert all(str(tenant.connection.pk) in page for tenant in two)


def test_the_queues_tasks_see_every_org_by_themselves(two):
    ours, _ = two
    assert scope.current() is scope.NOTHING
    with scope.everything():
        export = push(factories.draft(ours.org).pk, actor=ours.admin).export

    tasks.deliver(str(ours.connection.pk))

    assert not tasks.sweep().startswith("failed")
    with scope.within(scope.of_orgs(ours.org.pk)):
        assert ERPExport.objects.get(pk=export.pk).status == ExportStatus.SENT
