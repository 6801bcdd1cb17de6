"""The normal form of search text: stored text and search text are compared in this form only.

Case, accents and the spelling of umlauts do not count: "Müller", "MUELLER" and "Muller" have one form, as have
"Straße" and "STRASSE". Punctuation only separates words. Ideographs and kana are words of one character, as their
scripts have no spaces.

`orderflow.orders.number_search` makes the same function for PostgreSQL; a test compares the two for every character.
"""

import re
from collections.abc import Iterable
from unicodedata import normalize

Ranges = tuple[tuple[int, int], ...]

# Characters of a normal form, so that no word exceeds the size of an index entry.
LONGEST = 500
# Accents and points: of Latin, Greek, Cyrillic, Hebrew and Arabic. Vowel signs of other scripts are letters.
MARKS: Ranges = (
    (0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05BD), (0x05BF, 0x05BF), (0x05C1, 0x05C2), (0x05C4, 0x05C5),
    (0x05C7, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06DC), (0x06DF, 0x06E4),
    (0x06E7, 0x06E8), (0x06EA, 0x06ED), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF), (0x20D0, 0x20F0), (0xFE20, 0xFE2F),
)  # fmt: skip
# Blanks, punctuation and invisible characters.
SEPARATORS: Ranges = (
    (0x0001, 0x002F), (0x003A, 0x0040), (0x005B, 0x0060), (0x007B, 0x00BF), (0x00D7, 0x00D7), (0x00F7, 0x00F7),
    (0x055A, 0x055F), (0x0589, 0x058A), (0x05BE, 0x05BE), (0x05C0, 0x05C0), (0x05C3, 0x05C3), (0x05F3, 0x05F4),
    (0x060C, 0x060D), (0x061B, 0x061F), (0x0640, 0x0640), (0x066A, 0x066D), (0x06D4, 0x06D4), (0x0964, 0x0965),
    (0x0E4F, 0x0E4F), (0x0E5A, 0x0E5B), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x206F), (0x20A0, 0x20CF),
    (0x2190, 0x23FF), (0x2500, 0x27BF), (0x2E00, 0x2E7F), (0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030),
    (0x30FB, 0x30FB), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFD),
)  # fmt: skip
ONE_CHARACTER_WORDS: Ranges = (
    (0x3041, 0x30FA), (0x30FC, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x323AF),
)  # fmt: skip
# Letters without a removable accent, and their replacements. "æ" is "ae", which is "a": see below.
SPELLINGS = {
    "ß": "ss", "þ": "th", "æ": "a", "œ": "o", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ŧ": "t",
}  # fmt: skip


def characters(ranges: Iterable[tuple[int, int]]) -> str:
    """Return the inside of a character class of a regular expression, for Python and for PostgreSQL."""
    return "".join(f"\\U{first:08X}-\\U{last:08X}" for first, last in ranges)


_MARKS = re.compile(f"[{characters(MARKS)}]+")
_BETWEEN = re.compile(f"[{characters(SEPARATORS)}]+")
_ONE_CHARACTER_WORD = re.compile(f"([{characters(ONE_CHARACTER_WORDS)}])")
_SPELLINGS = str.maketrans(SPELLINGS)


def normal_form(text: str) -> str:
    """Return the words of ``text`` in normal form, each after a space, cut at `LONGEST` characters."""
    return _form(text)[:LONGEST]


def words(text: str) -> list[str]:
    """Return the different words of ``text`` in normal form."""
    return list(dict.fromkeys(word[: LONGEST - 1] for word in _form(text).split()))


def count_words(text: str) -> int:
    """Return the number of words of ``text``, with repetitions; punctuation between blanks counts as a word."""
    return max(len(text.split()), len(_form(text).split()))


def fold_letter(text: str) -> str:
    """Return ``text`` (without accents) in lower case, with `SPELLINGS` replaced."""
    return text.casefold().translate(_SPELLINGS)


def _form(text: str) -> str:
    folded = text.lower() if text.isascii() else _fold(text)
    # "ue" for "ü", which has lost its points: both become "u".
    folded = folded.replace("ae", "a").replace("oe", "o").replace("ue", "u")
    return " " + _BETWEEN.sub(" ", folded).strip(" ")


def _fold(text: str) -> str:
    letters = fold_letter(_MARKS.sub("", normalize("NFKD", text)))
    return _ONE_CHARACTER_WORD.sub(r" \1 ", letters)
