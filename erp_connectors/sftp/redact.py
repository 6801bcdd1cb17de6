"""Remove our password from texts of a server, which may repeat it."""

from collections.abc import Callable

Redact = Callable[[str], str]
HIDDEN = "[hidden]"
# Shorter ones are part of ordinary words, which would then be hidden, too, and tell more than they hide.
SHORTEST = 4


def redactor(*secrets: str | None) -> Redact:
    """Return a function that hides each of ``secrets`` in a text. Secrets shorter than four characters stay."""
    known = sorted(
        {secret for secret in secrets if secret and len(secret) >= SHORTEST}, key=len, reverse=True
    )

    def hide(text: str) -> str:
        for secret in known:
            text = text.replace(secret, HIDDEN)
        return text

    return hide
