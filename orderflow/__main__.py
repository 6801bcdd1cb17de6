"""Django's command line, for a checkout (`manage.py`) and for an installed package (`orderflow COMMAND`)."""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from orderflow.tenancy import scope


def main() -> None:
    settings = "orderflow.help_settings" if _asks_for_help(sys.argv[1:]) else "orderflow.settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    run(lambda: execute_from_command_line(sys.argv))


def run(execute: Callable[[], None]) -> None:
    """Execute across all orgs; exit with one line if a setting is wrong."""
    # A core would hold the master key. The limit goes on to every process that is started from here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with scope.everything():
            execute()
    except ImproperlyConfigured as error:
        sys.exit(f"OrderFlow can't start: {error}")


def _asks_for_help(arguments: Sequence[str]) -> bool:
    """Return True if Django will print help or its version and run no command."""
    if not arguments or arguments[0] in ("help", "version"):
        return True
    options = takewhile(lambda argument: argument != "--", arguments)
    return not {"-h", "--help", "--version"}.isdisjoint(options)


if __name__ == "__main__":
    main()
