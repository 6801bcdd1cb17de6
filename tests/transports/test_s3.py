"""The S3 transport against servers that refuse, redirect or answer nonsense: one code for each."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.faults import Fault
from erp_connectors.port_types import Move, Upload
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.s3 import S3Options, S3Transport
from erp_connectors.transports.s3.signed_put import expiry
from orderflow.messages import english
from tests.servers.canned_http import canned_answers
from tests.servers.processes import free_port

POLICY = TransportPolicy(sftp_loopback=True)
CONFIG = {
    "mode": "s3",
    "bucket": "orders",
    "access_key_id": "AKIAEXAMPLE",
    "secret_access_key": "example-secret",
    "export_path": "/in",
}
TYPE = "DROPZONE_JSON_V1"


def options(endpoint: str, **changes: object) -> S3Options:
    values = {"bucket": "orders", "access_key_id": "AKIAEXAMPLE", "secret_access_key": "example-secret"}
    return S3Options(**{**values, "endpoint_url": endpoint, "io_timeout": 60.0, **changes})  # type: ignore[arg-type]


def fault_when_opened(endpoint: str, policy: TransportPolicy = POLICY, **changes: object) -> Fault:
    with pytest.raises(Fault) as caught:
        S3Transport(options(endpoint, **changes), policy).open()
    return caught.value


def error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>Words</Message></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "InvalidAccessKeyId", "LOGIN_REFUSED"),
        (403, "SignatureDoesNotMatch", "LOGIN_REFUSED"),
        (400, "ExpiredToken", "LOGIN_REFUSED"),
        (403, "RequestTimeTooSkewed", "CLOCK_SKEW"),
        (404, "NoSuchBucket", "BUCKET_MISSING"),
        (400, "AuthorizationHeaderMalformed", "WRONG_REGION"),
        (503, "SlowDown", "SLOW_DOWN"),
        (507, "XMinioStorageFull", "DISK_FULL"),
        (400, "SomethingNew", "REMOTE_FAILURE"),
    ],
)
def test_each_error_of_the_server_has_its_code(status: int, code: str, expected: str) -> None:
    with canned_answers(status, error(code), {"Content-Type": "application/xml"}) as endpoint:
        fault = fault_when_opened(endpoint)

    assert fault.code == expected
    assert "example-secret" not in fault.message
    assert "X-Amz" not in fault.message


def test_a_user_who_may_not_write_is_denied_when_a_file_is_staged() -> None:
    headers = {"Content-Type": "application/xml"}
    with (
        canned_answers(403, error("AccessDenied"), headers) as endpoint,
        S3Transport(options(endpoint), POLICY) as transport,
    ):
        (outcome,) = transport.stage([Upload("/in/a.tmp", b"a")])

    assert isinstance(outcome, Fault)
    assert outcome.code == "PERMISSION_DENIED"


def test_a_web_page_is_not_s3() -> None:
    for status, body in ((200, b"<html><body>Hello</body></html>"), (404, b"<html><body><br></body></html>")):
        with canned_answers(status, body, {"Content-Type": "text/html"}) as endpoint:
            assert fault_when_opened(endpoint).code == "NOT_S3"


def test_an_answer_that_is_no_xml_is_not_s3() -> None:
    with canned_answers(200, b"SSH-2.0-nothing") as endpoint:
        assert fault_when_opened(endpoint).code == "NOT_S3"


def test_a_redirect_to_another_host_is_not_followed() -> None:
    headers = {"Location": "http://elsewhere.example.com/", "x-amz-bucket-region": "eu-west-1"}
    with canned_answers(301, error("PermanentRedirect"), headers) as endpoint:
        assert fault_when_opened(endpoint).code == "WRONG_REGION"


def test_a_clock_that_is_wrong_is_reported_before_anything_is_sent() -> None:
    headers = {"Date": format_datetime(datetime.now(UTC) - timedelta(minutes=5), usegmt=True)}
    with canned_answers(200, b"<VersioningConfiguration/>", headers) as endpoint:
        fault = fault_when_opened(endpoint)

    assert fault.code == "CLOCK_SKEW"


def test_an_answer_that_is_cut_off_is_a_lost_connection() -> None:
    with canned_answers(200, b"<VersioningConfiguration/>" * 9, cut=True) as endpoint:
        assert fault_when_opened(endpoint).code == "CONNECTION_LOST"


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erp_connectors.transports.s3.client.MAX_ANSWER", 1_000)
    with canned_answers(200, b"<x/>" * 1_000) as endpoint:
        assert fault_when_opened(endpoint).code == "TOO_LARGE"


def test_a_head_that_never_ends_is_a_timeout() -> None:
    with canned_answers(200, endless_head=True) as endpoint:
        assert fault_when_opened(endpoint, io_timeout=0.5).code == "REMOTE_TIMEOUT"


def test_the_network_s_faults_are_told_apart() -> None:
    nothing = f"http://127.0.0.1:{free_port()}"

    assert fault_when_opened(nothing).code == "CONNECTION_REFUSED"
    assert fault_when_opened("http://nothing.invalid").code == "NAME_NOT_FOUND"


def test_a_service_without_tls_fails_the_login_step_of_an_https_endpoint() -> None:
    with canned_answers(200) as endpoint:
        assert fault_when_opened(endpoint.replace("http:", "https:")).code == "TLS_FAILED"


def test_the_address_policy_counts() -> None:
    with canned_answers(200) as endpoint:
        assert fault_when_opened(endpoint, TransportPolicy()).code == "HOST_NOT_ALLOWED"
        others_only = TransportPolicy(sftp_allowed_hosts=("s3.example.com",), sftp_loopback=True)
        assert fault_when_opened(endpoint, others_only).code == "HOST_NOT_ALLOWED"


def test_orders_are_sent_without_tls_to_private_addresses_only() -> None:
    fault = fault_when_opened("http://1.1.1.1")
    assert (fault.code, "https" in fault.message) == ("HOST_NOT_ALLOWED", True)


def test_a_signed_request_expires_before_the_lease_and_soon_after_we_stop_waiting() -> None:
    assert expiry(until=1_100.0, io_timeout=30, ahead=0, now=1_000.0) == 32
    assert expiry(until=1_010.0, io_timeout=30, ahead=0, now=1_000.0) == 9
    # Our clock is ahead, so the server accepts the request for longer.
    assert expiry(until=1_010.0, io_timeout=30, ahead=4.0, now=1_000.0) == 5
    assert expiry(until=1_010.0, io_timeout=30, ahead=-4.0, now=1_000.0) == 9
    # Or the server refuses the request as it arrives.
    assert expiry(until=1_100.0, io_timeout=5, ahead=-20.0, now=1_000.0) == 27


def test_a_config_is_parsed() -> None:
    dropzone = parse_config(TYPE, CONFIG)

    assert dropzone.options == S3Options(
        bucket="orders",
        access_key_id="AKIAEXAMPLE",
        secret_access_key="example-secret",
        endpoint_url="https://s3.us-east-1.amazonaws.com",
        addressing_style="virtual",
    )
    assert "example-secret" not in repr(dropzone)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("bucket", "a/b", "config.not_a_bucket"),
        ("bucket", None, "config.needed_for_s3"),
        ("secret_access_key", None, "config.needed_for_s3"),
        ("region", "eu.central", "config.not_a_region"),
        ("endpoint", "ftp://s3.example.com", "config.not_an_endpoint"),
        ("endpoint", "https://user@s3.example.com", "config.not_an_endpoint"),
        ("endpoint", "https://s3.example.com/console", "config.not_an_endpoint"),
        ("endpoint", "https://s3.example.com:99999", "config.not_an_endpoint"),
        ("endpoint", "https://", "config.not_an_endpoint"),
        ("addressing_style", "dns", "config.not_a_choice"),
        ("bucket", "orders\n", "config.not_a_bucket"),
        ("region", "eu-central-1\n", "config.not_a_region"),
        ("access_key_id", "AKIA\n", "config.not_one_word"),
        ("atomic_write", False, "config.not_used"),
        ("file_mode", "0640", "config.not_used"),
        ("host", "example.com", "config.of_other_mode"),
    ],
)
def test_a_wrong_key_is_refused_by_its_name(key: str, value: object, code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(TYPE, {**CONFIG, key: value})

    assert {name: problem.code for name, problem in caught.value.problems.items()} == {key: code}


def test_keys_that_say_what_holds_anyway_are_accepted() -> None:
    assert parse_config(TYPE, {**CONFIG, "atomic_write": True, "file_mode": None}).atomic_write


def test_fields_that_a_bucket_has_no_use_for_are_not_offered() -> None:
    offered = {field.name: field.modes for field in config_fields(TYPE)}

    assert "s3" not in offered["atomic_write"]
    assert "s3" not in offered["file_mode"]
    assert offered["done_marker"] == ()
    assert "s3" in offered["connect_timeout"]


def test_no_text_of_the_client_library_reaches_a_user() -> None:
    with canned_answers(200, b"<VersioningConfiguration/>") as endpoint:
        transport = S3Transport(options(endpoint), POLICY)
        transport.open()
    (outcome,) = transport.stage([Upload("/in/a.tmp", b"a")])
    (published,) = transport.publish([Move("/in/a.tmp", "/in/a.json")])
    transport.close()

    for fault in (outcome, published):
        assert isinstance(fault, Fault)
        assert fault.code in ("CONNECTION_REFUSED", "CONNECTION_LOST")
        assert "Signature" not in english(fault.as_message())
