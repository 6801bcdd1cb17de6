"""Heartbeat of the background workers: a task that ran, not a process that exists."""

from django.db import models

from orderflow import clock


class Heartbeat(models.Model):
    cluster = models.CharField(max_length=50, primary_key=True)
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.cluster

    @classmethod
    def beat(cls, cluster: str) -> None:
        cls.objects.update_or_create(cluster=cluster, defaults={"beat_at": clock.now()})
