"""Settings of the test suite and of the type checker. Only pytest's own processes load them.

`tests/plugin.py` sets the environment variables first. A program that a test starts loads `orderflow.settings`.
"""

import os

os.environ["ORDERFLOW_ENV"] = "development"

from orderflow.settings import *  # noqa: F403
from orderflow.settings import DATABASES, VAR

# The default hasher is slow on purpose. The suite logs in thousands of times.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file: with Django's default, a database in memory, threads and child processes could not share it.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test" / "test.sqlite3")}
    (VAR / "test").mkdir(parents=True, exist_ok=True)
