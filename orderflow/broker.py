"""django-q2's queue in the database, by the database's clock: see `orderflow.jobs`."""

from datetime import datetime, timedelta
from time import sleep

from django_q.brokers.orm import ORM
from django_q.conf import Conf

from orderflow import clock


class DatabaseClockBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """A task is free for the next worker once its ``lock`` is over.

    By its own clock, a host that is ahead would enqueue tasks that the others take hours later, and take tasks again
    that the others are still working on.
    """

    def timeout(self, task: object) -> datetime:
        return clock.now() + timedelta(seconds=Conf.RETRY)

    def queue_size(self) -> int:
        size: int = self.get_connection().filter(key=self.list_key, lock__lte=clock.now()).count()
        return size

    def lock_size(self) -> int:
        size: int = self.get_connection().filter(key=self.list_key, lock__gt=clock.now()).count()
        return size

    def enqueue(self, task: str) -> int:
        key = self.list_key or Conf.CLUSTER_NAME
        pk: int = self.get_connection().create(key=key, payload=task, lock=clock.now()).pk
        return pk

    def dequeue(self) -> list[tuple[int, str]] | None:
        rows = self.get_connection()
        free = list(rows.filter(key=self.list_key, lock__lt=clock.now())[: Conf.BULK])
        if not free:
            sleep(Conf.POLL)
            return None
        # Of several clusters that saw the same task, one changes the lock it saw.
        return [
            (task.pk, task.payload)
            for task in free
            if rows.filter(pk=task.pk, lock=task.lock).update(lock=self.timeout(task))
        ]
