"""Setting up notifications as an integrator does, in Chromium: wide and on a phone."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from erp_connectors.notifications.models import Notification
from erp_connectors.outbox.models import Subscription
from orderflow.tenancy.roles import Role
from tests import factories
from tests.browsing import look_wide_and_narrow
from tests.notifications.conftest import _public_url as _public_url
from tests.notifications.conftest import by_mail, by_webhook, round_of_notifications
from tests.notifications.conftest import receiver as receiver
from tests.notifications.test_pending_events import open_circuit

pytestmark = [pytest.mark.deep, pytest.mark.django_db(transaction=True)]


def test_a_webhook_from_the_connections_page_to_its_test(as_user, site, receiver, live_server):
    page = as_user(factories.user(site.org, Role.INTEGRATOR))
    connection = reverse("admin:erp_connectors_erpconnection_change", args=[site.connection.pk])
    page.goto(live_server.url + connection)
    page.click("text=Add a notification")
    expect(page.locator("#id_connection")).to_have_value(str(site.connection.pk))
    expect(page.locator("#id_url")).to_be_hidden()
    look_wide_and_narrow(page)

    page.select_option("#id_channel", "WEBHOOK")
    expect(page.locator("#id_addresses")).to_be_hidden()
    page.fill("#id_url", receiver.url)
    page.click("input[name=_save]")
    secret = page.locator("#webhook-secret")
    expect(secret).to_have_text(Subscription.objects.get().secrets["current"])
    look_wide_and_narrow(page)

    page.click("text=I have copied it")
    page.click("input[value='Send a test']")
    expect(page.get_by_text("The test was delivered. The receiver answered with status 200.")).to_be_visible()
    look_wide_and_narrow(page)


def test_one_that_was_given_up_leads_from_the_overview_to_what_to_do(as_user, site, receiver, live_server):
    by_mail(site.connection, "einkauf@example.com", "lager@example.com")
    row = by_webhook(site.connection, receiver.url)
    open_circuit(site.connection)
    receiver.status = 410
    round_of_notifications()
    Notification.objects.filter(subscription__channel="EMAIL").update(sent_at=timezone.now())
    page = as_user(factories.user(site.org, Role.ADMIN))
    look_wide_and_narrow(page)

    page.click("text=Open the notification")
    expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    look_wide_and_narrow(page)

    page.goto(live_server.url + reverse("admin:notify_subscription_changelist"))
    look_wide_and_narrow(page)
    receiver.status = 200
    page.goto(live_server.url + reverse("admin:notify_subscription_change", args=[row.pk]))
    page.click("input[value='Send a test']")
    expect(page.get_by_text("Sending resumes now")).to_be_visible()
