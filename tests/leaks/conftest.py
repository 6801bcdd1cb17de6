"""A world full of canaries, and one search through every place they could have come to."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orderflow import tracing
from orderflow.tenancy.models import Org
from orderflow.tenancy.roles import Role
from tests import factories
from tests.leaks import sinks
from tests.leaks.canaries import Canary, random_text

# The page of another row is the same place.
ROW = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}[0-9a-f-]*|(?<=task ).*|(?<=queued ).*")
searched: Counter[str] = Counter()


@dataclass
class Leaks:
    """``look`` fails the test where a canary is anywhere; ``others`` are texts that a test itself caught."""

    logs: sinks.Logs
    spans: Any
    capture: Any
    folders: list[Path]
    metrics_token: str
    canaries: list[Canary] = field(default_factory=list)

    def canary(self, kind: str, value: str = "", *, belongs: tuple[str, ...] = ()) -> Canary:
        """``belongs``: how the names of the places begin that it is kept in."""
        self.canaries.append(Canary(kind, value, belongs=belongs))
        return self.canaries[-1]

    def places(self, org: Org, rows: list[Any], others: dict[str, str]) -> sinks.Places:
        staff, member = factories.user(None), factories.user(org, Role.ADMIN)
        yield from sinks.pages(staff, member, [org, *rows])
        yield from sinks.figures(self.metrics_token)
        yield from sinks.tables()
        yield from sinks.results()
        yield from sinks.files(*self.folders)
        yield from sinks.spans(self.spans)
        yield from self.logs.places()
        out, err = self.capture.readouterr()
        yield from (("stdout", out), ("stderr", err), *others.items())

    def found(self, org: Org, *rows: Any, **others: str) -> list[str]:
        told = []
        for place, text in self.places(org, list(rows), others):
            searched[ROW.sub("…", place)] += 1
            for canary in self.canaries:
                if place.startswith(canary.belongs):
                    continue
                told += [f"{canary.kind} ({spelling}) in {place}" for spelling in canary.found_in(text)]
        return told

    def look(self, org: Org, *rows: Any, **others: str) -> None:
        assert self.canaries
        assert self.found(org, *rows, **others) == []


@pytest.fixture
def leaks(transactional_db: None, tmp_path: Path, settings: Any, capfd: Any) -> Iterator[Leaks]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider.get_tracer("tests"))
    settings.DROPZONE_ROOTS = [str(tmp_path)]
    settings.METRICS_ALLOWED_NETWORKS, settings.METRICS_TOKEN = [], random_text(40)
    with sinks.Logs() as logs:
        folders = [tmp_path, Path(django_settings.VAR)]
        found = Leaks(logs, exporter.get_finished_spans, capfd, folders, settings.METRICS_TOKEN)
        found.canary("METRICS_TOKEN", settings.METRICS_TOKEN)
        yield found
    tracing.use(None)


@pytest.fixture(scope="session", autouse=True)
def _figure(record_testsuite_property: Callable[[str, object], None]) -> Iterator[None]:
    yield
    figure = f"{len(searched)} places, searched {sum(searched.values())} times"
    record_testsuite_property("leaks", figure)
    print(f"leaks: {figure}")
