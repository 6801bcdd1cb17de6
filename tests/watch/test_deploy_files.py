"""Alerts and the dashboard speak of metrics and labels that there are, in expressions that Prometheus takes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from erp_connectors.faults import FAULT_KINDS
from erp_connectors.metrics import scrape
from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow.heartbeat.models import Heartbeat
from tests.services.conftest import make_site  # noqa: F401  # a fixture

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
RULES = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
BOARD = json.loads((ROOT / "deploy/grafana/orderflow.json").read_text())
PAGE = (ROOT / "docs/monitoring.md").read_text()
# What Prometheus adds to every sample of a target.
ADDED = {"instance", "job"}
COUNTING = {"rate", "increase"}
LABEL_VALUES = {
    "code": set(FAULT_KINDS),
    "status": set(ExportStatus.values),
    "outcome": set(AckFileStatus.values),
}


def expressions() -> dict[str, str]:
    alerts = {name: rule["expr"] for name, rule in RULES.items()}
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in BOARD["panels"]
        for target in panel["targets"]
    }
    return alerts | panels


def as_prometheus_gets_it(expression: str) -> promql_parser.Expr:
    return promql_parser.parse(expression.replace("$__rate_interval", "5m").replace("$org", ".*"))


def parts(expression: str) -> Iterator[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(as_prometheus_gets_it(expression), found.append)
    yield from found


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    return [part for part in parts(expression) if isinstance(part, promql_parser.VectorSelector)]


@pytest.fixture
def told(make_site) -> dict[str, tuple[Metric, set[str]]]:  # noqa: F811
    """Sample names as they are scraped: their family and labels."""
    make_site()
    Heartbeat.beat("here")
    found: dict[str, tuple[Metric, set[str]]] = {}
    for family in text_string_to_metric_families(scrape().decode()):
        for sample in family.samples:
            found[sample.name] = (family, set(sample.labels))
    return found | {"up": (Metric("up", "", "gauge"), set())}


def test_expressions_name_metrics_and_labels_that_there_are(told):
    assert [gap for name, text in expressions().items() for gap in unknown_names(name, text, told)] == []


def unknown_names(name, expression, told):
    used = selectors(expression)
    if not used:
        yield f"{name}: no metric"
    for one in used:
        labels = told[one.name][1] | ADDED if one.name in told else ADDED
        if one.name not in told:
            yield f"{name}: metric {one.name}"
        for matcher in one.matchers.matchers:
            if matcher.name not in labels:
                yield f"{name}: label {matcher.name} of {one.name}"
            known = LABEL_VALUES.get(matcher.name)
            if known is not None and not set(matcher.value.split("|")) <= known:
                yield f"{name}: value {matcher.value} of {matcher.name}"
    listed = re.findall(r"(?:by|without) \(([^)]*)\)", expression)
    grouped = {label for labels in listed for label in labels.split(", ")}
    for label in grouped - labels_of(used, told):
        yield f"{name}: grouped by {label}"


def labels_of(used, told):
    return set().union(*(told[one.name][1] for one in used if one.name in told)) | ADDED


def test_rates_are_of_counters_and_only_of_counters(told):
    wrong = {}
    for name, expression in expressions().items():
        rated = {
            part.args[0].vector_selector.name
            for part in parts(expression)
            if isinstance(part, promql_parser.Call) and part.func.name in COUNTING
        }
        counters = {
            one.name for one in selectors(expression) if told[one.name][0].type in ("counter", "histogram")
        }
        if rated != counters:
            wrong[name] = rated ^ counters
    assert wrong == {}


def test_several_web_processes_tell_the_same_so_nothing_is_added_up_over_them():
    added_up = [
        name
        for name, expression in expressions().items()
        if "sum" in re.sub(r"sum\(max without \(instance\)", "", expression)
    ]
    assert added_up == []


def test_each_alert_says_what_happened_and_leads_to_what_to_do(told):
    assert [gap for name, rule in RULES.items() for gap in alert_gaps(name, rule, told)] == []


def alert_gaps(name, rule, told):
    promql_parser.parse_duration(rule.get("for", "1s"))
    if rule["labels"]["severity"] not in ("warning", "critical"):
        yield f"{name}: severity"
    if (
        rule["annotations"]["runbook"] != f"docs/monitoring.md#{name.lower()}"
        or f"\n### {name}\n" not in PAGE
    ):
        yield f"{name}: runbook"
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    for label in named - labels_of(selectors(rule["expr"]), told):
        yield f"{name}: label {label} in the summary"


def test_the_page_explains_every_metric_and_every_alert_and_no_other(told):
    families = {family.name for family, _ in told.values()} - {"up"}
    with_suffix = {f"{name}_total" if family.type == "counter" else name for name, family in
                   ((family.name, family) for family, _ in told.values()) if name in families}  # fmt: skip

    explained = set(re.findall(r"^\| `(orderflow_\w+)`", PAGE, re.MULTILINE))
    assert explained == with_suffix
    assert set(re.findall(r"^### (OrderFlow\w+)$", PAGE, re.MULTILINE)) == set(RULES)


def test_every_age_has_an_alert(told):
    watched = {one.name for rule in RULES.values() for one in selectors(rule["expr"])}
    ages = {name for name in told if name.endswith(("_oldest_seconds", "_age_seconds"))}

    assert len(ages) >= 5
    assert ages <= watched


def test_every_metric_is_on_the_dashboard(told):
    shown = {one.name for expression in expressions().values() for one in selectors(expression)}

    assert {name for name in told if not name.endswith(("_sum", "_count", "_created"))} <= shown | {"up"}


def test_the_dashboards_panels_have_places_and_ids_of_their_own():
    panels = BOARD["panels"]
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)
