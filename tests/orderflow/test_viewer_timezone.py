"""Times as the clock on the viewer's wall shows them."""

from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from orderflow.orders.models import DraftOrder
from orderflow.orders.states import DraftStatus
from orderflow.tenancy.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
LATE = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)


@pytest.fixture
def viewer():
    org = factories.org()
    user = factories.user(org, Role.VIEWER)
    order = factories.draft(org, status=DraftStatus.READY)
    DraftOrder.objects.filter(pk=order.pk).update(created_at=LATE)
    client = Client()
    client.force_login(user)
    return client


def listed(client, **headers):
    return client.get(reverse("admin:orders_draftorder_changelist"), **headers).content.decode()


def test_times_are_those_of_the_browser(viewer):
    viewer.cookies["time_zone"] = "Europe/Berlin"

    page = listed(viewer)

    assert "21 Nov 2026, 00:30" in page
    assert "All times are Europe/Berlin." in page


@pytest.mark.parametrize("name", ["", "Nowhere/Atall", "../../etc/passwd", "Europe/Berlin\n", "x" * 5000])
def test_what_names_no_zone_is_as_no_cookie(viewer, name):
    # As a browser sends it: newer versions of Python refuse to set a control character.
    session = viewer.cookies[settings.SESSION_COOKIE_NAME].value
    quoted = name.replace("\n", "\\012")

    page = listed(viewer, HTTP_COOKIE=f'{settings.SESSION_COOKIE_NAME}={session}; time_zone="{quoted}"')

    assert "20 Nov 2026, 23:30" in page
    assert "All times are UTC." in page


def test_the_next_request_of_another_viewer_has_its_own(viewer):
    viewer.cookies["time_zone"] = "Asia/Tokyo"
    assert "21 Nov 2026, 08:30" in listed(viewer)
    del viewer.cookies["time_zone"]

    assert "20 Nov 2026, 23:30" in listed(viewer)


def test_the_api_speaks_utc_whatever_the_browser_says(viewer):
    viewer.cookies["time_zone"] = "Europe/Berlin"

    (row,) = viewer.get("/api/v1/draft-orders").json()["results"]

    assert row["created_at"] == "2026-11-20T23:30:00Z"
