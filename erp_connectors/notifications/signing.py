"""Signatures of webhooks, after Standard Webhooks: HMAC-SHA256 over id, time and body."""

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(keys: list[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers with a signature for each of ``keys``: a receiver needs only one of the keys."""
    signatures = " ".join(_signature(key, message_id, timestamp, body) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures,
    }


def _signature(key: str, message_id: str, timestamp: int, body: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
