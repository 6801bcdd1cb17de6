"""Settings to show the help of a command: read no environment variable, write no file, reach no database."""

import os
import secrets

_environment = dict(os.environ)
os.environ.clear()
os.environ |= {
    "SECRET_KEY": secrets.token_hex(32),
    "ENCRYPTION_MASTER_KEY": secrets.token_hex(32),
    "DATABASE_URL": "sqlite://:memory:",
}
try:
    from orderflow.settings import *  # noqa: F403
finally:
    os.environ.clear()
    os.environ |= _environment

# If a command runs with these settings by mistake, it fails at its first query.
DATABASES = {"default": {"ENGINE": "django.db.backends.dummy"}}
