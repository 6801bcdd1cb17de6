"""E-mail addresses as identities: one address is one user, and no other text may be taken for it."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

LONGEST = 254


def stored_form(email: str) -> str:
    """Return how an address is stored and looked up: ASCII, lower case. Return "" if no user can have it.

    `UPPER` of a dotless i is `I`, as that of `i` is. So no text with other letters than those of ASCII is changed
    into, or compared in any case with, an address that is stored.
    """
    text = email.strip(" ")
    if not (text.isascii() and text.isprintable() and len(text) <= LONGEST):
        return ""
    return text.lower()


def require_ascii(email: str) -> None:
    """Raise `ValidationError` if an address has letters that can be mistaken for others."""
    if not email.isascii():
        raise ValidationError(
            _(
                "Use only the letters a to z, digits and the usual punctuation. If the domain has other "
                "letters, enter its form that begins with xn--."
            ),
            code="not_ascii",
        )
