"""A promise of both kinds of parts: a key whose name says that it is a secret is declared as one."""

from collections.abc import Sequence

from erp_connectors.config_fields import ConfigField

SECRET_WORDS = ("password", "passphrase", "ssh_key", "token", "secret")


def require_secrets_marked(fields: Sequence[ConfigField]) -> None:
    """Compare the fields that are declared secret with those whose name says so; dates of secrets are none."""
    texts = [field for field in fields if field.type != "date"]
    named = [
        field.name
        for field in texts
        if field.name.startswith(SECRET_WORDS) or field.name.endswith(SECRET_WORDS)
    ]
    assert named == [field.name for field in texts if field.secret]
