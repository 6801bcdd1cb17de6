from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class HeartbeatConfig(AppConfig):
    name = "orderflow.heartbeat"

    def ready(self) -> None:
        from orderflow import jobs  # noqa: PLC0415  # the queue's models exist only now

        jobs.restrict_workers()
        post_migrate.connect(_ensure_schedules, sender=self)


def _ensure_schedules(using: str, **kwargs: Any) -> None:
    from orderflow import jobs  # noqa: PLC0415  # its models exist only once every app is ready

    # Migrating one app alone may come before the queue's own tables.
    if "django_q_schedule" in connections[using].introspection.table_names():
        jobs.ensure_schedules()
