"""What the type checker loads: the settings as on a developer's machine, whatever the environment holds."""

import os

os.environ.setdefault("ORDERFLOW_ENV", "development")

from orderflow.settings import *  # noqa: F403
