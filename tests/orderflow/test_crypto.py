import secrets
from uuid import uuid4

import pytest

from orderflow.secrets.crypto import BadKey, MasterKey, Place, Undecryptable, seal, unseal

OLD, NEW = (MasterKey.from_hex(secrets.token_hex(32)) for _ in range(2))
ORG, ROW = uuid4(), uuid4()
PLACE = Place("erp_connectors_erpconnection", "config", ROW)


def sealed(key: MasterKey = NEW) -> str:
    return seal(b'{"password": "geheim"}', key=key, org_id=ORG, place=PLACE)


def opened(stored: str, *, ring=(NEW, OLD), org_id=ORG, place=PLACE) -> bytes:
    return unseal(stored, ring=ring, org_id=org_id, place=place)


def test_what_was_sealed_comes_back():
    assert opened(sealed()) == b'{"password": "geheim"}'


def test_an_older_key_of_the_ring_still_opens():
    assert opened(sealed(OLD)) == b'{"password": "geheim"}'


def test_each_sealing_uses_a_fresh_iv():
    assert len({sealed() for _ in range(100)}) == 100


def test_a_key_that_is_not_in_the_ring_is_named():
    with pytest.raises(Undecryptable, match=OLD.id):
        opened(sealed(OLD), ring=(NEW,))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"org_id": uuid4()},
        {"place": Place(PLACE.table, PLACE.column, uuid4())},
        {"place": Place(PLACE.table, "secrets", ROW)},
        {"place": Place("notify_subscription", PLACE.column, ROW)},
    ],
)
def test_a_value_copied_to_another_table_column_or_row_does_not_open(elsewhere):
    with pytest.raises(Undecryptable, match="copied"):
        opened(sealed(), **elsewhere)


def test_every_flipped_character_is_noticed():
    stored = sealed()
    for i, character in enumerate(stored):
        flipped = stored[:i] + ("A" if character != "A" else "B") + stored[i + 1 :]
        with pytest.raises(Undecryptable):
            opened(flipped)


@pytest.mark.parametrize(
    "text", ["", "zz" * 32, "ab" * 31, "ab" * 33, "00" * 32, "ab" * 32, " " + "ab" * 31 + "a"]
)
def test_a_bad_master_key_is_refused(text):
    with pytest.raises(BadKey):
        MasterKey.from_hex(text)


def test_a_key_does_not_show_itself():
    assert NEW.key.hex() not in repr(NEW)
