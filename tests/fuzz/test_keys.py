"""Whatever is pasted as a key: a key, or a sentence that says what is wrong, in a moment."""

import base64
import struct
import time
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from hypothesis import strategies as st

from erp_connectors.services.connections.host_keys import read_keys, unreadable_line
from erp_connectors.sftp.errors import HostKeyUnknown, KeyUnreadable
from erp_connectors.sftp.keys import load_private_key, parse_host_key
from tests.fuzz.exploring import explore

pytestmark = pytest.mark.deep

PASSPHRASE = "geheim"
ANY_TEXT = st.text(st.characters(), max_size=80)  # lone surrogates included


def written(key, kind, passphrase=None):
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase and kind is serialization.PrivateFormat.OpenSSH:
        lock = kind.encryption_builder().kdf_rounds(1).build(passphrase)
    elif passphrase:
        lock = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, kind, lock).decode()


@cache
def real_keys() -> tuple[str, ...]:
    return tuple(_real_keys())


def _real_keys():
    kinds = serialization.PrivateFormat
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ):
        yield from (written(key, kind) for kind in (kinds.OpenSSH, kinds.PKCS8))
        yield written(key, kinds.PKCS8, PASSPHRASE.encode())
    yield written(ec.generate_private_key(ec.SECP256K1()), kinds.PKCS8)
    yield written(dsa.generate_private_key(1024), kinds.PKCS8)
    yield written(rsa.generate_private_key(65537, 1024), kinds.TraditionalOpenSSL, PASSPHRASE.encode())


# Without those that take a moment to unlock.
@cache
def putty_keys() -> tuple[str, ...]:
    folder = Path(__file__).parents[1] / "sftp" / "putty"
    return tuple(
        path.read_text() for path in sorted(folder.glob("*.ppk")) if "v2" in path.name or "v3." in path.name
    )


@cache
def public_keys() -> tuple[str, ...]:
    ssh, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    keys = (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1()))
    return tuple(key.public_key().public_bytes(ssh, form).decode() for key in keys)


@st.composite
def spoilt(draw, originals):
    """A real one with characters changed, left out or doubled; or with bytes changed inside its base64."""
    text = draw(st.sampled_from(originals))
    if draw(st.booleans()) and "PRIVATE" in text and "Proc-Type" not in text:
        first, *body, last = text.split("\n")[:-1]
        raw = bytearray(base64.b64decode("".join(body), validate=False))
        for at, byte in draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=3)):
            raw[at % len(raw)] = byte
        return f"{first}\n{base64.encodebytes(bytes(raw)).decode()}{last}\n"
    for at, put in draw(st.lists(st.tuples(st.integers(0, 4000), ANY_TEXT), max_size=3)):
        at %= len(text)
        text = text[:at] + put + text[at + draw(st.integers(0, 3)) :]
    return text


def test_any_private_key_is_read_or_refused_in_words():
    def check(text, passphrase):
        try:
            load_private_key(text, passphrase)
        except KeyUnreadable as error:
            assert str(error).isprintable()

    texts = spoilt(real_keys()) | spoilt(putty_keys()) | ANY_TEXT
    explore(check, texts, st.sampled_from([None, PASSPHRASE, "x", "\ud800"]))


def test_half_a_character_in_a_private_key_is_refused_in_words():
    plain, _, locked, *_ = real_keys()
    for text in ("\ud800", plain.replace("PRIVATE", "PRIV\ud800TE"), f"{locked}\udcc6"):
        with pytest.raises(KeyUnreadable):
            load_private_key(text, "\ud800")


def test_any_line_is_a_host_key_or_refused_in_words():
    def check(text):
        try:
            key = parse_host_key(text)
        except HostKeyUnknown:
            pass
        else:
            assert parse_host_key(key.line) == key
        for one in read_keys(text):
            assert one.fingerprint.startswith("SHA256:")
        unreadable_line(text)

    explore(check, spoilt(public_keys()) | ANY_TEXT)


@pytest.mark.parametrize("line", ["ssh-\udcc6 AAAA", "ssh-ed25519 AA\udcc6A", "ssh-é AAAA", "ssh-ed25519 A"])
def test_what_is_no_host_key_is_refused_in_words(line):
    with pytest.raises(HostKeyUnknown, match="is not a public key like"):
        parse_host_key(line)


def test_each_real_key_is_read_or_its_kind_refused():
    refused = []
    for key in real_keys():
        try:
            load_private_key(key, PASSPHRASE)
        except KeyUnreadable as error:
            refused.append(str(error))

    assert [why for why in refused if "Only Ed25519, ECDSA and RSA" not in why and "curve" not in why] == []
    assert len(refused) == 2  # DSA and a curve that SSH does not know


def test_a_key_with_its_point_in_short_form_is_refused_in_words():
    """Found by `tests/fuzz/guided.py`."""
    key = written(ec.generate_private_key(ec.SECP256R1()), serialization.PrivateFormat.OpenSSH)
    first, *body, last = key.split("\n")[:-1]
    raw = base64.b64decode("".join(body)).replace(b"nistp256\0\0\0\x41\4", b"nistp256\0\0\0\x41\2")

    with pytest.raises(KeyUnreadable, match="damaged"):
        load_private_key(f"{first}\n{base64.encodebytes(raw).decode()}{last}\n", None)


def openssh_with_rounds(rounds):
    lines = written(ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH, b"x").split(
        "\n"
    )
    made = base64.b64decode("".join(lines[1:-2]))
    at = made.index(b"bcrypt") + 6 + 4 + 4 + 16
    raw = made[:at] + struct.pack(">I", rounds) + made[at + 4 :]
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.encodebytes(raw).decode()}-----END OPENSSH PRIVATE KEY-----\n"


def pkcs8_with_iterations(iterations):
    kind = serialization.PrivateFormat.PKCS8
    lines = written(ed25519.Ed25519PrivateKey.generate(), kind, b"x").split("\n")
    raw = base64.b64decode("".join(lines[1:-2]))
    at = raw.index(bytes.fromhex("2a864886f70d01050c")) + 9
    assert (raw[at], raw[at + 2]) == (0x30, 0x04)
    salt = raw[at + 4 : at + 4 + raw[at + 3]]
    after = at + 4 + len(salt) + 4
    assert raw[after - 4 : after - 2] == b"\2\2"
    # What the number is longer by, the salt is shorter by: no length around them changes.
    changed = bytes([4, len(salt) - 2]) + salt[2:] + b"\2\4" + iterations.to_bytes(4, "big")
    raw = raw[: at + 2] + changed + raw[after:]
    return f"{lines[0]}\n{base64.encodebytes(raw).decode()}{lines[-2]}\n"


@pytest.mark.parametrize(
    ("make", "cost"),
    [(openssh_with_rounds, 1000), (pkcs8_with_iterations, 50_000_000)],
    ids=["OpenSSH", "PKCS8"],
)
def test_a_key_that_takes_hours_to_unlock_is_refused_at_once(make, cost):
    text = make(cost)
    began = time.monotonic()

    with pytest.raises(KeyUnreadable):
        load_private_key(text, PASSPHRASE)

    assert time.monotonic() - began < 1
