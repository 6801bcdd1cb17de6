from datetime import timedelta

import msgspec
import pytest
from django.utils.translation import override

from erp_connectors.common_fields import CommonConfig
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import config_fields
from erp_connectors.connection_config import parse_config as parse_of
from erp_connectors.transports.s3.config import S3Config
from erp_connectors.transports.sftp.config import SftpConfig
from orderflow.messages import Message, english, foreign
from orderflow.messages import text as shown

SFTP = {
    "mode": "sftp",
    "host": "erp.example.com",
    "username": "orderflow",
    "password": "geheim",
    "export_path": "/in",
    "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlO8dxWVZ0QHg8LnNUpcEkjbmFLTSaSy0zyDXYBmuQH",
}
HOP = {
    **SFTP,
    "via": "jump_host",
    "via_host": "bastion.example.com",
    "via_username": "jumper",
    "via_password": "sprung",
    "via_host_key": SFTP["host_key"],
}
PROXY = {**SFTP, "via": "http_proxy", "via_host": "proxy.example.com"}
SOCKS = {**PROXY, "via": "socks5_proxy"}
FOLDER = {"mode": "filesystem", "export_path": "/in"}
BUCKET = {
    "mode": "s3",
    "bucket": "orders",
    "access_key_id": "AKIAEXAMPLE",
    "secret_access_key": "geheim",
    "export_path": "/in",
}


FIELDS = config_fields("DROPZONE_JSON_V1")


def parse(raw):
    return parse_of("DROPZONE_JSON_V1", raw)


def problems(raw):
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    return caught.value.problems


@pytest.mark.parametrize("raw", [SFTP, FOLDER])
def test_defaults_are_those_of_the_specification(raw):
    parsed = parse(raw)

    if raw is SFTP:
        options = parsed.options
        assert (options.port, options.connect_timeout, options.io_timeout) == (22, 10, 30)
    assert (parsed.atomic_write, parsed.ack_path, parsed.ack_timeout, parsed.file_mode) == (
        True,
        None,
        None,
        None,
    )


WRONG_KEYS: list[tuple[dict[str, object], str]] = [
    ({**SFTP, "hots": "x"}, "hots"),
    ({**SFTP, "host": "x\uff20127.0.0.1"}, "host"),
    ({**SFTP, "port": "22"}, "port"),
    ({**SFTP, "port": 0}, "port"),
    ({**SFTP, "port": 65536}, "port"),
    ({**SFTP, "port": True}, "port"),
    ({**SFTP, "io_timeout": -1}, "io_timeout"),
    ({**SFTP, "export_path": "in"}, "export_path"),
    ({**SFTP, "export_path": "/in/../etc"}, "export_path"),
    ({**SFTP, "ack_path": "/a\n"}, "ack_path"),
    ({**SFTP, "file_mode": "888"}, "file_mode"),
    ({**SFTP, "host": None}, "host"),
    ({**SFTP, "host": "erp\0.example.com"}, "host"),
    ({**SFTP, "host": "sftp://erp.example.com/"}, "host"),
    ({**SFTP, "host": "erp\u202emoc.example"}, "host"),
    ({**SFTP, "username": "erp\x1b[31m"}, "username"),
    ({**SFTP, "password": None}, "password"),
    ({**SFTP, "host_key": "sha256:abc"}, "host_key"),
    ({**SFTP, "host_key": SFTP["host_key"][:-8]}, "host_key"),
    ({**SFTP, "atomic_write": "yes"}, "atomic_write"),
    ({**SFTP, "done_marker": 1}, "done_marker"),
    (
        {**SFTP, "next_host_key_from": "1.12.2026", "next_host_key": SFTP["host_key"]},
        "next_host_key_from",
    ),
    ({**SFTP, "next_host_key_from": "2026-12-01"}, "next_host_key"),
    ({**SFTP, "next_host_key": "sha256:abc"}, "next_host_key"),
    ({**SFTP, "old_host_key": SFTP["host_key"]}, "old_host_key_until"),
    (
        {
            **SFTP,
            "next_host_key": SFTP["host_key"],
            "next_host_key_from": "2026-12-02",
            "next_host_key_until": "2026-12-01",
        },
        "next_host_key_until",
    ),
    ({**SFTP, "via": "ftp"}, "via"),
    ({**SFTP, "via_host": "bastion"}, "via_host"),
    ({**SFTP, "via": "direct", "via_password": "x"}, "via_password"),
    ({**HOP, "via_host": None}, "via_host"),
    ({**HOP, "via_host": "sftp://bastion/"}, "via_host"),
    ({**HOP, "via_username": None}, "via_username"),
    ({**HOP, "via_username": "\u202ex"}, "via_username"),
    ({**HOP, "via_password": None}, "via_password"),
    ({**HOP, "via_host_key": "sha256:abc"}, "via_host_key"),
    ({**PROXY, "via_host_key": HOP["via_host_key"]}, "via_host_key"),
    ({**PROXY, "via_ssh_key": "PRIVATE"}, "via_ssh_key"),
    ({**PROXY, "via_username": "u"}, "via_password"),
    ({**PROXY, "via_password": "p"}, "via_username"),
    ({**PROXY, "via_username": "a:b", "via_password": "p"}, "via_username"),
    ({**SOCKS, "via_username": "u", "via_password": "ü" * 128}, "via_password"),
    ({**FOLDER, "via": "jump_host"}, "via"),
    ({**FOLDER, "password_expires": "2026-12-01"}, "password_expires"),
    ({**FOLDER, "mode": "ftp"}, "mode"),
    ({**FOLDER, "host": "x"}, "host"),
    ({"mode": "filesystem"}, "export_path"),
]


def test_the_wrong_key_is_named():
    named = [(key, set(problems(raw))) for raw, key in WRONG_KEYS]

    assert [pair for pair in named if pair[1] != {pair[0]}] == []


def test_all_problems_are_told_at_once():
    assert problems({"mode": "sftp", "port": 0, "x": 1}).keys() == {
        "x", "port", "export_path", "host", "username", "password"
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [12345, ["geheim"], {"geheim": 1}])
def test_no_problem_repeats_a_secret(wrong):
    assert "geheim" not in str(problems({**SFTP, "password": wrong}))


def test_a_parsed_config_does_not_show_its_secrets():
    parsed = parse({**SFTP, "ssh_key": "PRIVATE", "ssh_key_passphrase": "phrase"})

    for text in (repr(parsed), str(parsed), repr(SftpConfig(password="geheim"))):
        assert not any(secret in text for secret in ("geheim", "PRIVATE", "phrase"))


def test_secrets_are_marked_and_every_key_is_described():
    described = {field.name: field for field in FIELDS}

    assert {name for name, field in described.items() if field.secret} == {
        "password", "ssh_key", "ssh_key_passphrase", "next_ssh_key", "via_password", "via_ssh_key",
        "via_ssh_key_passphrase", "secret_access_key",
    }  # fmt: skip
    assert all(field.help and field.label and field.group for field in described.values())


def test_the_description_and_the_parser_know_the_same_keys_and_defaults():
    parsed = {
        field.name: field
        for part in (CommonConfig, S3Config, SftpConfig)
        for field in msgspec.structs.fields(part)
    }

    assert {field.name for field in FIELDS} == {"mode", *parsed}
    for field in FIELDS[1:]:
        default = parsed[field.name].default
        assert field.default == (None if default is msgspec.NODEFAULT else default), field.name


@pytest.mark.parametrize("field", [f for f in FIELDS if f.maximum], ids=lambda field: field.name)
def test_the_described_limits_are_those_of_the_parser(field):
    raw = HOP if field.applies_if else SFTP
    assert parse({**raw, field.name: field.maximum})
    assert field.name in problems({**raw, field.name: field.maximum + 1})
    if field.minimum:
        assert parse({**raw, field.name: field.minimum})
        assert field.name in problems({**raw, field.name: field.minimum - 1})


@pytest.mark.parametrize("field", [f for f in FIELDS if f.required], ids=lambda field: field.name)
def test_what_is_described_as_required_is_asked_for_where_it_applies(field):
    applies = BUCKET if field.modes == ("s3",) else SFTP

    assert parse(applies)
    assert field.name in problems({**applies, field.name: None})


def test_file_mode_is_octal():
    assert parse({**FOLDER, "file_mode": "0640"}).file_mode == 0o640


def test_the_flat_config_of_the_specification_is_taken_as_it_is():
    """Rows that are stored hold it like this."""
    parsed = parse(
        {
            **SFTP,
            "port": 2222,
            "ack_path": "/ack",
            "atomic_write": True,
            "connect_timeout": 5,
            "ack_timeout": 3600,
            "file_mode": "640",
            "legacy_algorithms": True,
            "next_ssh_key": None,
        }
    )

    assert (parsed.transport, parsed.export_path, parsed.ack_path) == ("sftp", "/in", "/ack")
    assert (parsed.ack_timeout, parsed.file_mode) == (timedelta(hours=1), 0o640)
    assert (parsed.options.host, parsed.options.port, parsed.options.username) == (
        "erp.example.com",
        2222,
        "orderflow",
    )
    assert parsed.options.legacy_algorithms


def test_a_jump_host_or_proxy_is_part_of_the_options():
    assert parse(SFTP).options.hop is parse({**SFTP, "via": "direct"}).options.hop is None
    hop = parse({**HOP, "via_ssh_key": "PRIVATE"}).options.hop
    assert (hop.kind, hop.address, hop.username, hop.host_keys) == (
        "jump_host", "bastion.example.com:22", "jumper", (HOP["via_host_key"],)
    )  # fmt: skip
    assert [parse(raw).options.hop.port for raw in (PROXY, SOCKS, {**SOCKS, "via_port": 9050})] == [
        3128, 1080, 9050
    ]  # fmt: skip
    assert parse({**SOCKS, "via_username": "a:b", "via_password": "x" * 255}).options.hop.username == "a:b"
    assert not any(secret in repr(parse(HOP)) + str(hop) for secret in ("sprung", "PRIVATE"))


def test_fields_are_in_the_order_of_the_form():
    assert [field.name for field in FIELDS] == [
        "mode", "host", "port", "host_key", "legacy_algorithms", "bucket", "endpoint", "region",
        "addressing_style", "username", "ssh_key", "ssh_key_passphrase", "password", "access_key_id",
        "secret_access_key",
        "via", "via_host", "via_port", "via_host_key", "via_username", "via_ssh_key",
        "via_ssh_key_passphrase", "via_password",
        "export_path", "ack_path", "atomic_write", "done_marker", "file_mode", "connect_timeout",
        "io_timeout", "ack_timeout", "next_ssh_key", "next_host_key", "next_host_key_from", "next_host_key_until",
        "old_host_key", "old_host_key_until", "ssh_key_expires", "password_expires", "host_key_expires",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "key", "text"),
    [
        ({**FOLDER, "port": 22}, "port", "applies only to mode sftp"),
        (
            {**FOLDER, "folder": "/in"},
            "folder",
            "is neither a common key, of mode filesystem nor of the connector DROPZONE_JSON_V1",
        ),
        (
            {**FOLDER, "unknown": 1, "mode": "sftp", "host": "erp", "username": "u", "password": "p"},
            "unknown",
            "is neither a common key, of mode sftp nor of the connector DROPZONE_JSON_V1",
        ),
        ({**FOLDER, "mode": "ftp"}, "mode", "must be sftp, s3 or filesystem"),
        ({"export_path": "/in"}, "mode", "is missing"),
    ],
)
def test_the_part_that_a_wrong_key_belongs_to_is_named(raw, key, text):
    assert {at: str(problem) for at, problem in problems(raw).items()} == {key: text}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"port": 0},
            Message(
                "config.not_an_integer",
                limits=[Message("config.at_least", n="1"), Message("config.at_most", n="65535")],
            ),
        ),
        (
            {"io_timeout": "x"},
            Message(
                "config.not_a_number",
                limits=[Message("config.above", n="0"), Message("config.at_most", n="600")],
            ),
        ),
        ({"atomic_write": 1}, Message("config.not_boolean")),
        ({"password_expires": "soon"}, Message("config.not_a_date")),
        (
            {"password": 1},
            Message(
                "config.not_a_text",
                limits=[
                    Message("config.characters_at_least", number=1),
                    Message("config.characters_at_most", number=20000),
                ],
            ),
        ),
        ({"file_mode": "9"}, Message("config.not_octal")),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_a_value_of_the_wrong_type_or_beyond_a_limit_is_a_message_with_the_limits(raw, expected):
    assert problems({**SFTP, **raw}) == dict.fromkeys(raw, expected)


def test_the_problems_of_a_config_are_shown_in_the_readers_language():
    with pytest.raises(ConfigError) as caught:
        parse({**SFTP, "port": 0, "host": None, "x": 1})
    message = Message.from_json(caught.value.as_message().as_json())

    assert english(message) == (
        "x: is neither a common key, of mode sftp nor of the connector DROPZONE_JSON_V1; "
        "port: must be a whole number (at least 1; at most 65535); host: is needed in mode sftp."
    )
    with override("de"):
        assert "port: muss eine ganze Zahl sein (mindestens 1; höchstens 65535)" in shown(message)
        assert "host: wird für SFTP gebraucht" in shown(message)


def test_a_text_of_another_package_is_a_problem_as_it_is():
    assert ConfigError({"depth": "is more than five"}).problems == {"depth": foreign("is more than five")}
