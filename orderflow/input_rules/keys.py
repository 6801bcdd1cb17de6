"""One normal form for order numbers, SKUs, customer numbers and ERP numbers.

Two texts that look the same must be the same key, or one order becomes two at the ERP. Connectors use this: no Django.
"""

import re
from unicodedata import name as character_name
from unicodedata import normalize

# Unicode's Default_Ignorable_Code_Point: soft hyphen, zero-width characters, direction marks, byte order mark, others.
IGNORABLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Which columns and JSON fields hold keys.
KEY_FIELDS = frozenset(
    {
        "external_order_number",
        "erp_customer_number",
        "internal_sku",
        "customer_sku_raw",
        "erp_order_id",
        "order_number",
    }
)

_IGNORABLE = re.compile(f"[{IGNORABLE}]")
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# Word processors and mail programs write these for the hyphen on the keyboard.
_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe63"
_FULL_WIDTH = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
_PLAIN = str.maketrans({**dict.fromkeys(_SPACES, " "), **dict.fromkeys(_HYPHENS, "-")}) | _FULL_WIDTH

# Letters that look like a Latin one, from Unicode's confusables: Cyrillic, then Greek.
_CYRILLIC = (
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455",
    "ABEKMHOPCTYXIJSaeopcyxijs",
)
_GREEK = (
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd",
    "ABEZHIKMNOPTYXov",
)
_LATIN = str.maketrans(*_CYRILLIC) | str.maketrans(*_GREEK)


def normal_form(text: str) -> str:
    """Return the text in NFC, without invisible characters, with plain spaces and hyphens, stripped of spaces.

    Full-width letters and digits become plain ones. Letters of other scripts stay: see `look_alikes`.
    """
    if text.isascii():
        return text.strip(" ")
    return normalize("NFC", _IGNORABLE.sub("", text).translate(_PLAIN)).strip(" ")


def look_alikes(text: str) -> tuple[str, ...]:
    """Return the Cyrillic and Greek letters of a text that looks Latin; empty if any letter shows another script."""
    if text.isascii():
        return ()
    others = [sign for sign in text.translate(_LATIN) if sign.isalpha() and not sign.isascii()]
    if any(not character_name(sign, "").startswith("LATIN ") for sign in others):
        return ()
    return tuple(sorted({sign for sign in text if ord(sign) in _LATIN}))


def described(letters: tuple[str, ...]) -> str:
    """Return the letters with their code points and names, for a message."""
    return ", ".join(f"{sign} (U+{ord(sign):04X}, {character_name(sign, '?').title()})" for sign in letters)
