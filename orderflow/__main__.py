"""Django's command line, for a checkout (`manage.py`) and for an installed package (`orderflow COMMAND`)."""

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile

# Django takes seconds to import, and some commands must end cleanly from their first moment on.
# ruff: noqa: PLC0415
ENDS_QUIETLY = ("run_workers",)


def main() -> None:
    quietly = sys.argv[1:2] and sys.argv[1] in ENDS_QUIETLY
    if quietly:
        _end_quietly_on_signals()
    from django.core.management import execute_from_command_line

    settings = "orderflow.help_settings" if _asks_for_help(sys.argv[1:]) else "orderflow.settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    run(lambda: execute_from_command_line(sys.argv))
    if quietly:
        # Nothing is left to do, and a thread that waits for the database must not delay the end.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def run(execute: Callable[[], None]) -> None:
    """Execute across all orgs; exit with one line if a setting is wrong."""
    from django.core.exceptions import ImproperlyConfigured

    from orderflow.tenancy import scope

    # A core would hold the master key. The limit goes on to every process that is started from here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with scope.everything():
            execute()
    except ImproperlyConfigured as error:
        sys.exit(f"OrderFlow can't start: {error}")


def _end_quietly_on_signals() -> None:
    """Until the command sets handlers of its own; before, it has started nothing that would have to be ended."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Not SystemExit, which would be lost in a callback of an import.
        signal.signal(number, lambda *_: os._exit(0))


def _asks_for_help(arguments: Sequence[str]) -> bool:
    """Return True if Django will print help or its version and run no command."""
    if not arguments or arguments[0] in ("help", "version"):
        return True
    options = takewhile(lambda argument: argument != "--", arguments)
    return not {"-h", "--help", "--version"}.isdisjoint(options)


if __name__ == "__main__":
    main()
