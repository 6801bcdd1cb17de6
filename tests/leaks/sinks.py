"""Where a secret could come to light, each as named texts; nothing is left out, as what belongs there is sealed."""

import json
import logging
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Self

import structlog
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from tests.web.test_every_route import NOBODY, every_path

Places = Iterator[tuple[str, str]]
LOGGERS = (
    "",
    "paramiko",
    "boto3",
    "botocore",
    "urllib3",
    "s3transfer",
    "django",
    "django.request",
    "django-q",
    "erp_connectors",
    "orderflow",
)


class Logs:
    """Everything at DEBUG, as production writes it: JSON and for people."""

    def __init__(self) -> None:
        self.outs = {"json": StringIO(), "console": StringIO()}
        renderers: dict[str, Any] = {
            "json": structlog.processors.JSONRenderer(),
            "console": structlog.dev.ConsoleRenderer(colors=False),
        }
        self._handlers = [self._handler(self.outs[name], renderer) for name, renderer in renderers.items()]
        self._levels: dict[str, int] = {}

    def _handler(self, out: StringIO, renderer: Any) -> logging.Handler:
        handler = logging.StreamHandler(out)
        chain = settings.LOGGING["formatters"]["structured"]["foreign_pre_chain"]
        remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=chain, processors=[remove, renderer])
        )
        return handler

    def __enter__(self) -> Self:
        # The server that a test runs in this process is not ours.
        logging.getLogger("asyncssh").propagate = False
        for name in LOGGERS:
            logger = logging.getLogger(name)
            self._levels[name] = logger.level
            logger.setLevel(logging.DEBUG)
        for handler in self._handlers:
            logging.getLogger().addHandler(handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("asyncssh").propagate = True
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)

    def places(self) -> Places:
        for name, out in self.outs.items():
            yield f"log {name}", out.getvalue()


def tables() -> Places:
    """Every column of every table there is, ours and others'."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            columns = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            for i, column in enumerate(columns):
                yield f"{table}.{column}", "\n".join(_shown(row[i]) for row in rows)


def results() -> Places:
    """The queue pickles what goes in, so it is read as the queue reads it; results are not stored."""
    for queued in apps.get_model("django_q", "OrmQ").objects.all():
        yield f"queued {queued.pk}", repr(queued.task)


def pages(staff: Any, member: Any, rows: Sequence[Any]) -> Places:
    """Every GET of the admin, the API and the rest, about the row among ``rows`` that it is for."""
    browser, api = Client(raise_request_exception=False), APIClient()
    browser.force_login(staff)
    api.force_authenticate(member)
    for pattern in every_path():
        # The schema and its page are made of code, slowly.
        if any(word in pattern for word in ("logout", "/schema", "/docs")):
            continue
        client = api if pattern.startswith("/api/") else browser
        for row in [row for row in rows if _is_about(pattern, row)] if str(NOBODY) in pattern else [None]:
            path = pattern.replace(str(NOBODY), str(row.pk)) if row else pattern
            answer: Any = client.get(path)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            yield f"GET {path}", body.decode("utf-8", "replace") + json.dumps(dict(answer.headers))


def figures(token: str) -> Places:
    """What Prometheus is told."""
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    yield "figures", answer.content.decode()


WORDS = {
    "erpconnection": ("erpconnection", "connectors/"),
    "erpexport": ("export",),
    "draftorder": ("draft",),
}


def _is_about(pattern: str, row: Any) -> bool:
    name = row._meta.model_name
    return any(word in pattern.replace("erp_connectors/", "") for word in WORDS.get(name, (name,)))


def files(*folders: Path) -> Places:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            # A browser that other tests use keeps many megabytes there.
            if path.is_file() and "playwright_" not in str(path):
                yield (
                    f"file {path.relative_to(folder)}",
                    path.name + path.read_bytes().decode("utf-8", "replace"),
                )


def spans(finished: Any) -> Places:
    for span in finished():
        yield f"span {span.name}", span.to_json()


def _shown(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
