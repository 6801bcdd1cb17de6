"""Webhooks against a real receiver: signed, tried again, kept from going where they must not."""

import hmac
import ipaddress
import json
import ssl
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.utils import timezone
from django.utils.translation import override

from docs.receivers.verify_webhook import BadSignature, verify
from erp_connectors import checks
from erp_connectors.notifications import digests, sending, subscriptions, webhooks
from erp_connectors.notifications.models import Notification
from erp_connectors.notifications.secrets import OVERLAP, renew_secret, signing_keys
from erp_connectors.notifications.signing import new_secret, signed_headers
from erp_connectors.outbox.delivery_errors import NotDelivered, worded
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Subscription
from orderflow.tenancy.roles import Role
from tests import factories
from tests.notifications.conftest import by_webhook, round_of_notifications
from tests.notifications.test_pending_events import open_circuit
from tests.parts import require_program
from tests.servers.http_receiver import http_receiver
from tests.sftp.test_addresses import SEEN_BY_ATTACKERS


def held(site, receiver):
    """A subscription that is about to be told that its connection is held."""
    subscription = by_webhook(site.connection, receiver.url)
    open_circuit(site.connection)
    return subscription


def again_at_once():
    Subscription.objects.update(retry_at=None)


def test_it_says_what_happened_and_a_receiver_can_verify_it(site, receiver):
    subscription = held(site, receiver)

    assert round_of_notifications() == 1

    (request,) = receiver.got
    told = verify(subscription.secrets["current"], request.headers, request.body)
    assert (told["type"], told["data"]["count"], told["data"]["org"]) == (
        Event.CIRCUIT_OPENED,
        1,
        site.org.slug,
    )
    assert told["data"]["first"][0]["code"] == "LOGIN_REFUSED"
    assert told["data"]["url"] == (
        f"https://orders.example.com/admin/erp_connectors/erpconnection/{site.connection.pk}/change/"
    )
    assert request.path == "/hook?for=us"
    assert request.headers["content-type"] == "application/json"
    assert round_of_notifications() == 0


def test_each_attempt_has_the_same_id_and_bytes(site, receiver):
    held(site, receiver)
    receiver.answers = [500, 429]
    round_of_notifications()
    for _ in range(2):
        again_at_once()
        round_of_notifications()

    assert len(receiver.got) == 3
    assert len({request.headers["webhook-id"] for request in receiver.got}) == 1
    assert len(set(receiver.bodies())) == 1
    assert Notification.objects.get().attempts == 3


def test_after_a_failure_it_waits_longer_each_time(site, receiver):
    subscription = held(site, receiver)
    receiver.status = 503
    pauses = []
    for _ in range(4):
        again_at_once()
        round_of_notifications()
        subscription.refresh_from_db()
        pauses.append((subscription.retry_at - subscription.last_failure_at).total_seconds())

    assert all(15 * 2**n <= pause <= 30 * 2**n for n, pause in enumerate(pauses))
    assert sending.due(timezone.now()) == []
    assert subscription.last_error == {"code": "ANSWERED", "detail": "HTTP 503"}


def test_after_three_days_it_is_given_up_and_a_test_that_gets_through_resumes_it(site, receiver):
    subscription = held(site, receiver)
    receiver.status = 500
    round_of_notifications()
    Subscription.objects.update(retry_at=None, failing_since=timezone.now() - timedelta(days=3))
    round_of_notifications()
    subscription.refresh_from_db()
    assert subscription.given_up_at
    assert sending.due(timezone.now() + timedelta(days=9)) == []
    assert not Notification.objects.unsent().exists()

    admin = factories.user(site.org, Role.ADMIN)
    assert subscriptions.send_test(subscription.pk, actor=admin).problem.code == "ANSWERED"
    receiver.status = 204
    tried = subscriptions.send_test(subscription.pk, actor=admin)

    subscription.refresh_from_db()
    assert (tried.problem, tried.answered, tried.resumed) == (None, 204, True)
    assert (subscription.given_up_at, subscription.failing_since, subscription.last_error) == (
        None,
        None,
        None,
    )
    assert (
        verify(subscription.secrets["current"], receiver.got[-1].headers, receiver.got[-1].body)["type"]
        == "test"
    )


def test_one_that_its_receiver_never_takes_is_dropped_after_a_day(site, receiver):
    held(site, receiver)
    receiver.status = 400
    round_of_notifications()
    again_at_once()
    Notification.objects.update(created_at=timezone.now() - timedelta(hours=25))
    receiver.status = 200

    assert round_of_notifications() == 0
    assert Notification.objects.get().dropped_at
    assert len(receiver.got) == 1


def test_gone_is_believed_at_once(site, receiver):
    subscription = held(site, receiver)
    receiver.status = 410
    round_of_notifications()

    subscription.refresh_from_db()
    assert subscription.given_up_at


def test_a_redirect_is_not_followed(site, receiver):
    subscription = held(site, receiver)
    with http_receiver() as elsewhere:
        receiver.status, receiver.location = 307, elsewhere.url
        round_of_notifications()
        assert elsewhere.got == []

    subscription.refresh_from_db()
    assert subscription.last_error["code"] == "REDIRECTED"


def test_a_receiver_that_drips_is_cut_off_by_the_clock(receiver, monkeypatch):
    monkeypatch.setattr(webhooks, "SECONDS_IN_ALL", 0.5)
    receiver.drips = True

    with pytest.raises(NotDelivered, match="NO_ANSWER"):
        webhooks.post(receiver.url, b"{}", {})


FORBIDDEN_PLACES = [
    ("http://localhost:{port}/", "PLACE_FORBIDDEN"),
    ("http://127.0.0.1:{port}/", "PLACE_FORBIDDEN"),
    ("http://[::ffff:127.0.0.1]:{port}/", "PLACE_FORBIDDEN"),
    ("http://0x7f000001:{port}/", "PLACE_FORBIDDEN"),
    ("http://2130706433:{port}/", "PLACE_FORBIDDEN"),
    ("http://127.1:{port}/", "PLACE_FORBIDDEN"),
    ("http://0.0.0.0:{port}/", "PLACE_NEVER"),
    ("http://169.254.169.254/latest/meta-data/", "PLACE_NEVER"),
    ("http://10.0.0.1/", "PLACE_FORBIDDEN"),
    ("http://[fe80::1]/", "PLACE_NEVER"),
    ("http://[fd00:ec2::254]/", "PLACE_NEVER"),
    ("http://[64:ff9b::7f00:1]/", "PLACE_FORBIDDEN"),
    ("ftp://127.0.0.1/", "NOT_ENCRYPTED"),
    ("http://no-such-host.invalid/", "NAME_NOT_FOUND"),
]


def test_it_goes_to_no_private_place_however_that_is_written(receiver, settings):
    settings.WEBHOOK_PRIVATE_HOSTS = []
    refused = []
    for url, code in FORBIDDEN_PLACES:
        try:
            webhooks.post(url.format(port=receiver.port), b"{}", {})
        except NotDelivered as error:
            if code in str(error):
                refused.append((url, code))

    assert refused == FORBIDDEN_PLACES
    assert receiver.got == []


def test_plain_http_is_refused_unless_it_is_allowed(receiver, settings):
    settings.WEBHOOK_ALLOW_HTTP = False

    with pytest.raises(NotDelivered, match="NOT_ENCRYPTED"):
        webhooks.post(receiver.url, b"{}", {})


METADATA_IN_IPV6 = [
    address
    for address in SEEN_BY_ATTACKERS["in IPv6"]
    if not any(own in address for own in ("7f00", "5601:5601", "ffff:0:0"))
]
CARRIES_PRIVATE = [
    "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2002:a00:1::1",
    "2001:0:808:808:0:0:f5ff:fffe", "2a00::5efe:10.0.0.1", "fd00::5efe:8.8.8.8", "fd12::1", "100.64.0.1", "::1",
    "2001:db8:64::10.0.0.1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "2a00::1", "64:ff9b::8.8.8.8", "64:ff9b:1::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"]


def test_what_an_address_carries_is_checked_too(settings):
    settings.WEBHOOK_PRIVATE_HOSTS = []
    settings.NAT64_PREFIXES = [ipaddress.IPv6Network("2001:db8:64::/96")]

    for address in CARRIES_PRIVATE:
        with pytest.raises(NotDelivered, match="PLACE_FORBIDDEN"):
            webhooks.require_allowed_address("hooks.example.com", ipaddress.ip_address(address))
    for address in PUBLIC:
        webhooks.require_allowed_address("hooks.example.com", ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "100.100.100.200", "[fd00:ec2::254]"])
def test_mail_and_archive_on_a_metadata_address_stop_the_start(settings, host):
    settings.MAIL_IS_SET_UP, settings.EMAIL_HOST = True, host.strip("[]")
    settings.STORAGES = {"exports": {"OPTIONS": {"endpoint_url": f"http://{host}:9000"}}}

    assert [message.id for message in checks.endpoints(None)] == ["erp_connectors.E006"] * 2


def test_mail_and_archive_may_be_in_the_operators_network(settings):
    settings.MAIL_IS_SET_UP, settings.EMAIL_HOST = True, "10.0.0.25"
    settings.STORAGES = {"exports": {"OPTIONS": {"endpoint_url": "http://127.0.0.1:9000"}}}

    assert checks.endpoints(None) == []


def test_a_named_private_host_is_no_way_to_the_clouds_metadata(settings):
    settings.WEBHOOK_PRIVATE_HOSTS = ["metadata.internal"]

    webhooks.require_allowed_address("metadata.internal", ipaddress.ip_address("10.0.0.7"))
    seen = SEEN_BY_ATTACKERS
    for never in (*seen["link-local"], *seen["metadata"], *seen["no machine"], *METADATA_IN_IPV6):
        with pytest.raises(NotDelivered, match="PLACE_NEVER") as refused:
            webhooks.require_allowed_address(
                "metadata.internal", ipaddress.ip_address(never.partition("%")[0])
            )
        # It would be no help to name the host there once more.
        assert "WEBHOOK_PRIVATE_HOSTS" not in worded(refused.value.as_row())[1]


@pytest.fixture
def https_port(tmp_path):
    """An HTTPS server whose certificate is for localhost, by nobody known."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *args):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], str(certificate)
    server.shutdown()
    server.server_close()


def test_a_certificate_is_checked_against_the_host_name(https_port, settings):
    port, certificate = https_port
    settings.WEBHOOK_PRIVATE_HOSTS = ["localhost", "127.0.0.1"]
    with pytest.raises(NotDelivered, match="CERTIFICATE"):
        webhooks.post(f"https://localhost:{port}/", b"{}", {})

    settings.WEBHOOK_CA_FILE = certificate
    assert webhooks.post(f"https://localhost:{port}/", b"{}", {}) == 201
    with pytest.raises(NotDelivered, match="CERTIFICATE"):
        webhooks.post(f"https://127.0.0.1:{port}/", b"{}", {})


def test_what_does_not_speak_http_is_said_to(mailbox, receiver):
    with pytest.raises(NotDelivered, match="NOT_HTTP"):
        webhooks.post(f"http://127.0.0.1:{mailbox.port}/", b"{}", {})
    with pytest.raises(NotDelivered, match="NOT_HTTP"):
        webhooks.post(receiver.url.replace("http:", "https:"), b"{}", {})


def test_killed_between_send_and_mark_it_is_told_again_under_the_same_id(site, receiver, at_crashpoint):
    held(site, receiver)

    def die():
        raise SystemExit  # as a signal does

    at_crashpoint("notified", die)
    with pytest.raises(SystemExit):
        round_of_notifications()
    Subscription.objects.update(lease_token="of a dead worker", lease_until=timezone.now() - timedelta(1))
    round_of_notifications()
    round_of_notifications()

    assert len(receiver.got) == 2
    assert len({request.headers["webhook-id"] for request in receiver.got}) == 1
    assert len(set(receiver.bodies())) == 1


def test_while_one_worker_sends_no_other_does(site, receiver):
    subscription = held(site, receiver)
    digests.gather(timezone.now() + timedelta(minutes=1))
    Subscription.objects.update(lease_token="of another", lease_until=timezone.now() + timedelta(minutes=1))

    assert sending.due(timezone.now()) == []
    assert sending.send(subscription.pk) == 0
    assert receiver.got == []


def test_of_the_failing_only_a_few_are_tried_at_once(make_site, receiver):
    for n in range(6):
        site = make_site()
        by_webhook(site.connection, f"{receiver.url}{n}")
        open_circuit(site.connection)
    digests.gather(timezone.now() + timedelta(minutes=1))
    assert len(sending.due(timezone.now())) == 6

    Subscription.objects.update(failing_since=timezone.now())

    assert len(sending.due(timezone.now())) == sending.FAILING_AT_ONCE


def test_for_a_day_after_a_new_secret_both_are_good(site, receiver):
    subscription = by_webhook(site.connection, receiver.url)
    old = subscription.secrets["current"]
    new = subscriptions.replace_secret(subscription.pk, actor=factories.user(site.org, Role.ADMIN))
    subscription.refresh_from_db()
    now = timezone.now()
    headers = signed_headers(signing_keys(subscription, now), "id", int(now.timestamp()), b"{}")

    assert old != new
    assert verify(old, headers, b"{}") == verify(new, headers, b"{}") == {}
    assert signing_keys(subscription, now + OVERLAP) == [new]


def test_the_secret_is_sealed_for_its_row(site, receiver):
    subscription = by_webhook(site.connection, receiver.url)
    (sealed,) = Subscription.objects.values_list("secrets", flat=True)

    stored = str(sealed)
    assert stored.startswith("v1.")
    assert subscription.secrets["current"] not in stored
    assert "whsec" not in str(subscription.__dict__.get("events"))


def test_an_unreadable_secret_is_told_and_can_be_replaced(site, receiver, settings):
    subscription = held(site, receiver)
    settings.ENCRYPTION_MASTER_KEY = "0123456789abcdef" * 4
    round_of_notifications()
    subscription.refresh_from_db(fields=["last_error"])
    assert subscription.last_error["code"] == "SECRET_UNREADABLE"

    secret = subscriptions.replace_secret(subscription.pk, actor=factories.user(site.org, Role.ADMIN))
    again_at_once()
    round_of_notifications()

    (request,) = receiver.got
    assert verify(secret, request.headers, request.body)


class TestReceiversExample:
    """What docs/notifications.md gives to receivers."""

    SECRET, BODY = new_secret(), json.dumps({"type": "test"}).encode()

    def headers(self, *, at=0.0, key=None):
        stamp = int(timezone.now().timestamp() + at)
        return signed_headers([key or self.SECRET], "msg_1", stamp, self.BODY)

    def test_takes_what_is_right(self):
        assert verify(self.SECRET, self.headers(), self.BODY) == {"type": "test"}

    @pytest.mark.parametrize("at", [-301, 301])
    def test_refuses_what_is_old_or_from_the_future(self, at):
        with pytest.raises(BadSignature, match="clock"):
            verify(self.SECRET, self.headers(at=at), self.BODY)

    def test_refuses_a_changed_body(self):
        with pytest.raises(BadSignature):
            verify(self.SECRET, self.headers(), self.BODY + b" ")

    def test_refuses_another_id_or_time_under_the_same_signature(self):
        for changed in (
            {"webhook-id": "msg_2"},
            {"webhook-timestamp": str(int(timezone.now().timestamp()) + 9)},
        ):
            with pytest.raises(BadSignature):
                verify(self.SECRET, {**self.headers(), **changed}, self.BODY)

    def test_refuses_another_secret_and_none(self):
        with pytest.raises(BadSignature):
            verify(self.SECRET, self.headers(key=new_secret()), self.BODY)
        for name in self.headers():
            short = {key: value for key, value in self.headers().items() if key != name}
            with pytest.raises(BadSignature):
                verify(self.SECRET, short, self.BODY)

    def test_compares_in_constant_time(self, monkeypatch):
        compared = []
        real = hmac.compare_digest

        def watched(a, b):
            compared.append(a)
            return real(a, b)

        monkeypatch.setattr(hmac, "compare_digest", watched)
        verify(self.SECRET, self.headers(), self.BODY)

        assert compared


def test_a_failed_delivery_is_stored_as_data_and_shown_in_the_readers_language():
    row = NotDelivered("ANSWERED", "HTTP 503\0").as_row()

    assert row == {"code": "ANSWERED", "detail": "HTTP 503\ufffd"}
    assert worded(NotDelivered("NOT_ENCRYPTED").as_row()) == (
        "The URL does not begin with https://, and plain http is not allowed here.", "Use https.",
    )  # fmt: skip
    with override("de"):
        cause, hint = worded(row)
    assert cause.endswith(" (HTTP 503\ufffd)")
    assert {cause, hint} & {*worded(row)} == set()


def test_a_secret_is_new_each_time_and_256_bits(site):
    assert len({new_secret() for _ in range(10)}) == 10
    subscription = Subscription(org=site.org)
    assert len(renew_secret(subscription, timezone.now())) == len("whsec_") + 44
