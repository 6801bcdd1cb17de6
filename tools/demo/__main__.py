"""`make demo` and `make serve`: ``python -m tools.demo [demo|serve] …``; ORDERFLOW_ENV must be development."""

import logging
import os
import sys

import django

from orderflow.__main__ import run


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orderflow.settings")
    run(_execute)


def _execute() -> None:
    django.setup()
    # Audit entries are logged at any LOG_LEVEL and would hide what the demo says; the audit log page has them.
    logging.getLogger("orderflow.audit.entries").addFilter(lambda _: False)
    from tools.demo import demo, serve  # noqa: PLC0415  # they need Django's models

    commands = {"demo": demo.Command, "serve": serve.Command}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands:
        sys.exit("Usage: python -m tools.demo {demo|serve}")
    commands[name]().run_from_argv(sys.argv)


if __name__ == "__main__":
    main()
