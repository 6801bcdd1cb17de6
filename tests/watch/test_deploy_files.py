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


@pytest.mark.parametrize("name", expressions())
def test_an_expression_names_metrics_and_labels_that_there_are(name, told):
    expression = expressions()[name]
    used = selectors(expression)
    assert used
    for one in used:
        assert one.name in told, one.name
        for matcher in one.matchers.matchers:
            assert matcher.name in told[one.name][1] | ADDED
            known = LABEL_VALUES.get(matcher.name)
            assert known is None or set(matcher.value.split("|")) <= known
    labels = set().union(*(told[one.name][1] for one in used)) | ADDED
    grouped = {
        label
        for listed in re.findall(r"(?:by|without) \(([^)]*)\)", expression)
        for label in listed.split(", ")
    }
    assert grouped <= labels


@pytest.mark.parametrize("name", expressions())
def test_rates_are_of_counters_and_only_of_counters(name, told):
    expression = expressions()[name]
    rated = {
        part.args[0].vector_selector.name
        for part in parts(expression)
        if isinstance(part, promql_parser.Call) and part.func.name in COUNTING
    }
    counters = {
        one.name for one in selectors(expression) if told[one.name][0].type in ("counter", "histogram")
    }
    assert rated == counters


@pytest.mark.parametrize("name", expressions())
def test_several_web_processes_tell_the_same_so_nothing_is_added_up_over_them(name):
    expression = expressions()[name]
    assert "sum" not in re.sub(r"sum\(max without \(instance\)", "", expression)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_what_happened_and_leads_to_what_to_do(name, told):
    rule = RULES[name]
    promql_parser.parse_duration(rule.get("for", "1s"))
    assert rule["labels"]["severity"] in ("warning", "critical")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (page, anchor) == ("docs/monitoring.md", name.lower())
    assert f"\n### {name}\n" in PAGE
    labels = set().union(*(told[one.name][1] for one in selectors(rule["expr"]))) | ADDED
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels


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
