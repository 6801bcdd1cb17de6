"""One django-q2 cluster, as `orderflow.supervisor` starts it: ``python -m orderflow.queue_cluster``."""

import os

import django
from django.core.management import call_command
from django.utils.module_loading import import_string

from orderflow.__main__ import run


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orderflow.settings")
    run(_work)


def _work() -> None:
    """Run until SIGTERM. The supervisor's own start has run the system checks, which would load every page."""
    django.setup()
    from orderflow import jobs  # noqa: PLC0415  # needs the settings

    # Workers are forks of this process and share what it has loaded.
    for task in sorted(jobs.TASKS):
        import_string(task)
    call_command("qcluster")


if __name__ == "__main__":
    main()
