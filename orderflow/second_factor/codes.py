"""Codes of an authenticator app (TOTP, RFC 6238) and recovery codes: made, read, compared."""

import base64
import hashlib
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from django_otp.oath import TOTP

ISSUER = "OrderFlow"
STEP_SECONDS, DIGITS = 30, 6
# Steps that a clock may be wrong by, to either side.
DRIFT = 1
SECRET_BYTES = 20
RECOVERY_CODES = 10
# Then a code is no longer taken, only a recovery code (NIST SP 800-63B, 5.2.2: at most 100).
MAX_WRONG = 100
# Of 80 random bits, a fast hash without salt can't be undone by trying.
RECOVERY_BYTES = 10


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def as_text(secret: bytes) -> str:
    """Return the secret in the form that users type into authenticator apps."""
    return base64.b32encode(secret).decode()


def address(secret: bytes, email: str) -> str:
    """Return the address in the QR code, in the form that all authenticator apps read."""
    asked = {"secret": as_text(secret), "issuer": ISSUER, "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{quote(f'{ISSUER}:{email}')}?{urlencode(asked)}"


def matching_step(secret: bytes, code: str, *, now: datetime, after: int = -1) -> int | None:
    """The time step whose code it is, later than step ``after`` and at most `DRIFT` from ``now``; None: it is wrong."""
    if not (len(code) == DIGITS and code.isascii() and code.isdigit()):
        return None
    totp = TOTP(secret, step=STEP_SECONDS, digits=DIGITS)
    totp.time = now.timestamp()
    if not totp.verify(int(code), tolerance=DRIFT, min_t=after + 1):
        return None
    return int(totp.t())


def written_plainly(code: str) -> str:
    """Normalise a typed code: remove spaces and dashes, ignore case."""
    return code.replace(" ", "").replace("-", "").upper()


def new_recovery_codes() -> list[str]:
    return [_grouped(as_text(secrets.token_bytes(RECOVERY_BYTES))) for _ in range(RECOVERY_CODES)]


def digest(code: str) -> str:
    """Return the stored digest of a recovery code."""
    return hashlib.sha256(written_plainly(code).encode()).hexdigest()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
