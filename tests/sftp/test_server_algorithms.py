"""What a server offers is read without trusting a byte of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erp_connectors.sftp.errors import ProtocolViolation
from erp_connectors.sftp.server_algorithms import KEXINIT, parse_offer


def kexinit(*lists):
    return bytes([KEXINIT]) + bytes(16) + b"".join(struct.pack(">I", len(one)) + one for one in lists)


LISTS = (b"kex-a,kex-b", b"ssh-rsa", b"c1", b"c2", b"m1", b"m2")


def test_lists_are_told_by_their_names():
    offer = parse_offer(kexinit(*LISTS))

    assert str(offer.text) == (
        "The server offers: key exchange: kex-a, kex-b; host keys: ssh-rsa; ciphers: c1; MACs: m1."
    )


def test_what_a_terminal_would_obey_and_endless_lists_are_cut():
    offer = str(parse_offer(kexinit(b"\x1b[2Jkex\n", b"\xff\xfe", b"c" * 9000, b"", b"m", b"")).text)

    assert offer.isprintable()
    assert len(offer) < 600


@pytest.mark.parametrize("packet", [b"", b"\x15", kexinit(*LISTS)[:30], b"220 ftp ready\r\n"])
def test_anything_else_is_refused(packet):
    with pytest.raises(ProtocolViolation):
        parse_offer(packet)


@given(st.binary(max_size=300))
def test_any_packet_is_a_text_or_refused(data):
    try:
        assert str(parse_offer(data).text).isprintable()
    except ProtocolViolation:
        return
