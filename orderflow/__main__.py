"""Django's command line, for a checkout (`manage.py`) and for an installed package (`orderflow COMMAND`)."""

import os
import resource
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from orderflow.tenancy import scope


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orderflow.settings")
    # A core would hold the master key. The limit goes on to every process that is started from here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with scope.everything():
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"OrderFlow can't start: {error}")


if __name__ == "__main__":
    main()
