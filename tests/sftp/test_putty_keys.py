"""Private keys as PuTTYgen saves them; those in ``putty/`` were made by it, see ``putty/make.sh``."""

import base64
import hashlib
import hmac
import time
from pathlib import Path

import pytest

from erp_connectors.sftp.errors import KeyUnreadable
from erp_connectors.sftp.key_pairs import public_half
from erp_connectors.sftp.keys import load_private_key
from erp_connectors.transports.base import TransportPolicy
from erp_connectors.transports.sftp import SftpTransport
from tests.servers.asyncssh_server import Behaviour, asyncssh_server

FOLDER = Path(__file__).parent / "putty"
KINDS = ("ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa")


def saved(name):
    return (FOLDER / f"{name}.ppk").read_text()


def public_line(kind):
    return (FOLDER / f"{kind}.pub").read_text().strip()


def why_refused(text, passphrase=None):
    with pytest.raises(KeyUnreadable) as refused:
        load_private_key(text, passphrase)
    return str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("passphrase", [None, "phrase"])
def test_a_putty_key_is_read(kind, version, passphrase):
    text = saved(f"{kind}-v{version}" + ("-phrase" if passphrase else ""))

    assert public_half(text, passphrase).split()[:2] == public_line(kind).split()[:2]


@pytest.mark.parametrize("name", ["ed25519-argon2i", "ed25519-argon2d"])
def test_every_argon2_that_puttygen_offers_is_read(name):
    assert public_half(saved(name), "phrase").split()[:2] == public_line("ed25519").split()[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_putty_key_logs_in(kind, tmp_path):
    behaviour = Behaviour(trusted=[public_line(kind)])
    with asyncssh_server(tmp_path, behaviour=behaviour) as server:
        options = server.options(
            password=None, ssh_key=saved(f"{kind}-v3-phrase"), ssh_key_passphrase="phrase"
        )
        with SftpTransport(options, TransportPolicy(sftp_loopback=True)) as transport:
            assert list(transport.list("/")) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n\n  " + text + "\n \n",
        lambda text: text.replace("\n", " \n"),
    ],
    ids=["Windows' line ends", "blank lines around", "spaces at line ends"],
)
def test_a_pasted_putty_key_is_read(change):
    assert load_private_key(change(saved("rsa-v3")), None)


def test_a_passphrase_for_a_putty_key_without_one_is_ignored():
    assert load_private_key(saved("rsa-v3"), "phrase")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("passphrase", "why"), [(None, "passphrase is missing"), ("wrong", "passphrase is wrong")]
)
def test_an_encrypted_putty_key_needs_its_passphrase(version, passphrase, why):
    assert why in why_refused(saved(f"ed25519-v{version}-phrase"), passphrase)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part", ["Comment: ", "AAAA", "Private-MAC: "])
def test_a_changed_putty_key_is_refused(version, part):
    text = saved(f"ed25519-v{version}")
    at = text.index(part) + len(part)
    changed = text[:at] + ("f" if text[at] != "f" else "0") + text[at + 1 :]

    assert "damaged" in why_refused(changed)


@pytest.mark.parametrize("lines", range(1, 9))
def test_part_of_a_putty_key_is_refused(lines):
    text = "\n".join(saved("ed25519-v3").splitlines()[:lines])

    assert "damaged" in why_refused(text)


@pytest.mark.parametrize(("name", "kind"), [("dsa-v3", "DSA"), ("ed448-v3", "Ed448")])
def test_a_putty_key_of_another_kind_is_refused_by_its_name(name, kind):
    said = why_refused(saved(name))

    assert kind in said
    assert "Ed25519" in said


def test_a_key_of_puttys_first_format_is_refused_with_a_remedy():
    assert "PuTTYgen" in why_refused(saved("rsa-v2").replace("File-2", "File-1"))


def test_a_putty_key_that_takes_long_to_unlock_is_refused_at_once():
    began = time.monotonic()

    assert "take minutes" in why_refused(saved("ed25519-costly"), "phrase")

    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Argon2-Memory", "99999999999"), ("Argon2-Passes", "4000000000"), ("Argon2-Passes", "0"),
        ("Argon2-Parallelism", "1000000"), ("Argon2-Memory", "-1"), ("Argon2-Memory", "x"),
        ("Argon2-Salt", "00"), ("Argon2-Salt", "zz"), ("Key-Derivation", "Argon3"),
    ],
)  # fmt: skip
def test_an_odd_derivation_is_refused_at_once(name, number):
    lines = saved("ed25519-v3-phrase").splitlines()
    began = time.monotonic()

    assert why_refused(
        "\n".join(f"{name}: {number}" if line.startswith(name) else line for line in lines), "phrase"
    )

    assert time.monotonic() - began < 1


def test_a_comment_and_a_passphrase_as_windows_writes_them_are_read():
    """PuTTYgen writes bytes of the Windows code page; whoever pastes the key pastes letters."""
    text = saved("ed25519-v2").replace("ed25519 of a test", "Schlüssel Müller")
    parts = text.splitlines()
    public, private = base64.b64decode("".join(parts[4:6])), base64.b64decode(parts[7])
    signed = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"ssh-ed25519", b"none", "Schlüssel Müller".encode("cp1252"), public, private)
    )
    key = hashlib.sha1(b"putty-private-key-file-mac-key").digest()  # noqa: S324
    parts[-1] = "Private-MAC: " + hmac.new(key, signed, "sha1").hexdigest()

    assert load_private_key("\n".join(parts), None)
