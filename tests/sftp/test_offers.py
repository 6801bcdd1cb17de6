"""What a server offers is read without trusting a byte of it."""

import socket
import struct
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.sftp import offers
from erp_connectors.sftp.errors import ProtocolViolation
from tests.servers.openssh import openssh_server


def kexinit(*lists):
    return bytes([offers.KEXINIT]) + bytes(16) + b"".join(struct.pack(">I", len(one)) + one for one in lists)


def packet(payload, padding=6):
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


LISTS = (b"kex-a,kex-b", b"ssh-rsa", b"c1", b"c2", b"m1", b"m2")


def served(data):
    """What is read from a server that sends these bytes and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(data)
                connection.recv(100)
                connection.recv(100)

        threading.Thread(target=answer, daemon=True).start()
        return offers.offered(listener.getsockname(), socket.AF_INET, timeout=0.5)


def test_a_real_server_is_read(tmp_path):
    (tmp_path / "root").mkdir()
    with openssh_server(tmp_path / "root", tmp_path) as server:
        offer = offers.offered((server.host, server.port), socket.AF_INET, timeout=5)

    assert "key exchange: " in offer
    assert "host keys: ssh-ed25519" in offer
    assert "aes128-gcm@openssh.com" in offer
    assert "MACs: " in offer


@pytest.mark.parametrize("greeting", [b"SSH-2.0-x\r\n", b"Welcome\r\nto us\r\nSSH-2.0-x\n"])
def test_lists_are_told_by_their_names(greeting):
    offer = served(greeting + packet(kexinit(*LISTS)))

    assert offer == "key exchange: kex-a, kex-b; host keys: ssh-rsa; ciphers: c1; MACs: m1"


def test_what_a_terminal_would_obey_and_endless_lists_are_cut():
    offer = offers.describe(kexinit(b"\x1b[2Jkex\n", b"\xff\xfe", b"c" * 9000, b"", b"m", b""))

    assert offer.isprintable()
    assert len(offer) < 600


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"220 ftp ready\r\n",
        b"x" * 100_000,
        b"SSH-2.0-x\r\n",
        b"SSH-2.0-x\r\n" + struct.pack(">IB", 2**32 - 1, 4),
        b"SSH-2.0-x\r\n" + struct.pack(">IB", 5, 200) + bytes(300),
        b"SSH-2.0-x\r\n" + packet(b"\x15"),
        b"SSH-2.0-x\r\n" + packet(kexinit(*LISTS)[:30]),
    ],
)
def test_anything_else_is_nothing(data):
    assert served(data) == ""


@given(st.binary(max_size=300))
def test_any_packet_is_a_text_or_refused(data):
    try:
        assert offers.describe(data).isprintable()
    except ProtocolViolation:
        return


@given(st.binary(max_size=300))
def test_any_stream_is_a_packet_unfinished_or_refused(data):
    try:
        packet = offers._payload(bytearray(b"SSH-2.0-x\n" + data))
    except ProtocolViolation:
        return
    assert packet is None or packet in data
