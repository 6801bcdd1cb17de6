"""What counts as the same text in a search."""

# ruff: noqa: RUF001  # texts of many scripts; our own names

import pytest

from orderflow.search.normal_form import LONGEST, normal_form, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "Mueller"),
        ("MÜLLER", "muller"),
        ("Mu\u0308ller", "Müller"),
        ("Straße", "STRASSE"),
        ("STRAẞE", "strasse"),
        ("Köln", "Koeln"),
        ("Bäder", "BAEDER"),
        ("René", "RENE"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("Þór", "thor"),
        ("İstanbul", "istanbul"),
        ("Diyarbakır", "DIYARBAKIR"),
        ("Заказ", "ЗАКАЗ"),
        ("ΠΑΡΑΓΓΕΛΊΑ", "παραγγελια"),
        ("ΟΔΟΣ", "οδος"),
        ("ＰＯ－１２", "po 12"),
        ("PO\u200b12", "PO 12"),
        ("№ 5", "no 5"),
        ("שָׁלוֹם", "שלום"),
        ("한국", "한국"),
        ("ﬁle", "FILE"),
    ],
)
def test_spellings_of_one_text_have_one_form(one, other):
    assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Bär", "Bor"), ("Заказ", "Заявка"), ("注文書", "注文"), ("12", "21")]
)
def test_other_texts_have_another(one, other):
    assert normal_form(one) != normal_form(other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PO-12345", ["po", "12345"]),
        (" 12 / 12 _x", ["12", "x"]),
        ("Ö", ["o"]),
        ("Müller & Weiß", ["muller", "weiss"]),
        ("注文書", ["注", "文", "書"]),
        ("заказ-17", ["заказ", "17"]),
        ("--- (((", []),
        ("", []),
    ],
)
def test_words(text, found):
    assert words(text) == found


def test_what_begins_a_text_begins_its_form():
    text = "Aeußerst Straße 注文 Müller Queue"
    for end in range(len(text)):
        assert normal_form(text).startswith(normal_form(text[:end]).rstrip()), text[:end]


def test_a_form_is_bounded_however_long_the_text_and_its_letters():
    assert len(normal_form("\ufdfa" * 300)) == LONGEST
    assert all(len(word) < LONGEST for word in words("x" * 10_000))
