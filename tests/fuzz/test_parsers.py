"""Whatever is written into a file, a form or a setting: a value, or an error of the kind that its readers expect."""

import gzip
import ipaddress
import json
import time
from contextlib import suppress

import pytest
from hypothesis import strategies as st

from erp_connectors.acceptance.scenario import BadScenario, load
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields, parse_config
from erp_connectors.connectors.base import AckUnreadable
from erp_connectors.connectors.json_acks.ack import parse
from erp_connectors.connectors.json_acks.ack_names import acknowledges
from erp_connectors.faults import Fault
from erp_connectors.port_types import Ack
from erp_connectors.transports.allowed_hosts import AllowedHosts, is_host_or_network, network_of, plain_name
from erp_connectors.transports.base import TransportPolicy
from orderflow.orders.importing.checking import Checker, remarks
from orderflow.orders.importing.documents import OrderIn, Unreadable
from orderflow.orders.importing.encodings import UnknownEncoding
from orderflow.orders.importing.formats import UnknownFormat
from orderflow.orders.importing.reading import Options, reading
from orderflow.orders.management.commands.import_orders import DAMAGED
from tests.fuzz.exploring import explore

pytestmark = pytest.mark.deep

TEXT = st.text(st.characters(), max_size=40)  # lone surrogates included
ODD = st.sampled_from(
    [
        "9" * 5000,
        "[" * 3000,
        '{"a":' * 3000,
        "NaN",
        "-Infinity",
        "1e999999",
        '"\\ud800"',
        '"\\u0000"',
        "\ufeff",
        "-0",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ACKS = [
    b'{"status":"ACKED","erp_order_id":"SO-1","processed_at":"2026-11-02T10:00:00Z"}',
    '{"status":"FAILED","error_code":"E1","message":"Größe fehlt","processed_at":"2026-11-02"}'.encode(
        "cp1252"
    ),
    '\ufeff{"status":"ACKED","erp_order_id":4711}'.encode("utf-16-le"),
]
TOML = (
    b'title = "t"\nseed = "s"\nlimit = 5.0\n[[days]]\nname = "Monday"\norders = 3\nlost = 0.1\ntwice = true\n'
)
ORDER = {
    "external_order_number": "PO-1", "order_date": "2026-11-02", "currency": "EUR",
    "customer": {"erp_customer_number": "4711", "name": "Müller"},
    "lines": [{"internal_sku": "A", "qty": "10.5", "uom": "M", "unit_price": "1.2345", "currency": "EUR"}],
}  # fmt: skip
CSV = (
    b"external_order_number;order_date;currency;erp_customer_number;internal_sku;qty;uom;unit_price\r\n"
    b'PO-1;2026-11-02;EUR;4711;A;10,5;M;1,23\r\nPO-1;2026-11-02;EUR;4711;"B ""x""";1;M;2\r\n'
)
# As a spreadsheet saves "Unicode text".
UNICODE_TEXT = CSV.decode().replace(";", "\t").encode("utf-16")


@st.composite
def spoilt(draw, *originals):
    """A good file with bytes changed, left out, put in or doubled."""
    body = draw(st.sampled_from(originals))
    put = st.binary(max_size=6) | ODD.map(lambda text: text.encode("utf-8", "surrogatepass"))
    for at, new, gone in draw(
        st.lists(st.tuples(st.integers(0, 500), put, st.integers(0, 9)), min_size=1, max_size=4)
    ):
        at %= len(body) + 1
        body = body[:at] + new + body[at + gone :]
    return body * draw(st.integers(1, 2))


def test_any_spoilt_ack_is_an_answer_or_a_reason():
    def check(name, body):
        began = time.monotonic()
        try:
            assert isinstance(parse(name, body), Ack)
        except AckUnreadable as error:
            str(error).encode()
        assert time.monotonic() - began < 1

    explore(check, st.sampled_from(["ack_x.json", "error_x.json"]), spoilt(*ACKS), share=3)


def test_names_of_answers_name_one_export_each():
    def check(name):
        answered = acknowledges(name)
        if answered is not None:
            added = [".json", *([""] if answered.endswith(".json") else [])]
            names = [f"{prefix}{answered}{ending}" for prefix in ("ack_", "error_") for ending in added]
            assert {acknowledges(one) for one in names} == {answered}

    explore(check, TEXT | TEXT.map("ack_{}.json".format) | TEXT.map("Error_{}.JSON.json".format))


SFTP = {"mode": "sftp", "host": "h", "username": "u", "password": "p", "export_path": "/in"}
FILES = {"mode": "filesystem", "export_path": "/in"}
NAMES = [field.name for field in config_fields("DROPZONE_JSON_V1")]
KEYS = st.sampled_from(NAMES)


def test_any_config_of_each_mode_is_taken_or_every_wrong_key_named():
    def check(base, changes, gone):
        raw = {key: value for key, value in {**base, **changes}.items() if key not in gone}
        try:
            config = parse_config("DROPZONE_JSON_V1", raw)
        except ConfigError as error:
            assert error.problems
            assert set(error.problems) <= {*raw, *SFTP, *NAMES}
        else:
            assert config.export_path.startswith("/")
            assert "password" not in repr(config)

    changes = st.dictionaries(KEYS | TEXT, JSON | ODD | st.dates().map(str), max_size=4)
    explore(check, st.sampled_from([SFTP, FILES, {}]), changes, st.sets(KEYS, max_size=2), share=2)


HOST_BITS = st.sampled_from(
    ["169.254.169.254", "0x7f.1", "①②⑦.1", "localhost", "a。b", ".", "..", "[::1]", "::ffff:1.2.3.4", "%eth0", "/8",
     "xn--", "xn--a-ecp.ru", "é" * 70, "a" * 64, "@", " "]
)  # fmt: skip
HOSTS = st.lists(HOST_BITS | st.text(st.characters(), max_size=6), min_size=1, max_size=3).map("".join)


def test_any_host_and_any_list_of_hosts_has_an_answer():
    def check(host, listed, address):
        is_host_or_network(host)
        good = tuple(entry for entry in listed if is_host_or_network(entry))
        assert all(network_of(entry) or plain_name(plain_name(entry)) == plain_name(entry) for entry in good)
        allowed = AllowedHosts(host, TransportPolicy(sftp_allowed_hosts=good))
        try:
            assert allowed.name().isascii()
            allowed.require_address(address)
        except Fault as fault:
            fault.message.encode("utf-8", "surrogatepass")
        else:
            assert not ipaddress.ip_address(int(address)).is_loopback

    explore(check, HOSTS, st.lists(HOSTS, max_size=3), st.ip_addresses(v=4) | st.ip_addresses(v=6), share=2)


def test_any_scenario_is_played_or_refused_with_its_file_named(tmp_path):
    path = tmp_path / "s.toml"

    def check(body):
        path.write_bytes(body)
        try:
            assert load(path).days
        except BadScenario as error:
            assert "s.toml" in str(error)

    explore(check, spoilt(TOML), share=2)


def read_all(path, body):
    path.write_bytes(body)
    with suppress(*DAMAGED, UnknownFormat, UnknownEncoding), reading(path, Options()) as file:
        checker = Checker(file.conventions)
        for found in file.orders:
            if isinstance(found, Unreadable):
                assert found.problem.line > 0
                continue
            result = checker.check(found)
            if isinstance(result, OrderIn):
                remarks(found, result)
                continue
            assert result
            assert all(problem.line > 0 for problem in result)


def test_any_file_of_orders_is_read_or_its_lines_named(tmp_path):
    line = json.dumps(ORDER).encode() + b"\n"

    def check(body, fields):
        read_all(tmp_path / "orders.jsonl", body)
        read_all(tmp_path / "more.jsonl", json.dumps({**ORDER, **fields}).encode("utf-8", "surrogatepass"))

    fields = st.dictionaries(st.sampled_from([*ORDER, "notes", "x"]), JSON, max_size=3)
    explore(check, spoilt(line), fields, share=2)


def test_any_table_of_orders_is_read_or_its_rows_named(tmp_path):
    def check(body):
        read_all(tmp_path / "orders.csv", body)

    explore(check, spoilt(CSV, CSV.replace(b";", b",").replace(b"10,5", b"10.5"), UNICODE_TEXT), share=2)


def test_a_packed_file_that_breaks_off_or_lies_is_damaged_and_nothing_worse(tmp_path):
    def check(body):
        read_all(tmp_path / "orders.jsonl.gz", body)

    explore(check, spoilt(gzip.compress(json.dumps(ORDER).encode() * 20)))
