"""Alert rules and docs name figures that are exported, with labels that they have; the docs name all."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.answering.first_level import FirstLevel
from service.events.counters import EventCounters
from service.recommender import Recommender
from service.telemetry.metrics import Metrics
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.versions.store import Store
from tests.data.tiny_version import VARIANT, publish

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
GROUPS = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
NIGHT = (ROOT / "training/aftermath.py").read_text()
DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
BY_THE_NIGHT = {f"nextbest_night_{name}" for name in re.findall(r'gauge\("(\w+)"', NIGHT)}
type Exported = dict[str, dict[str, set[str]]]
"""Each figure's name in a query, with the labels that it has and the values that were seen of each."""
SELECTOR = re.compile(r"(nextbest_\w+)(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """What the service exports after some traffic, and the night."""
    store = Store(tmp_path_factory.mktemp("store"))
    served = ServedVersion(store.open(publish(store)), VARIANT)
    (store.root / "last_success.json").write_text('{"at": "2018-01-01T02:00:00+00:00"}')
    metrics = Metrics(None)
    metrics.swapped(served)
    metrics.request("recommend", 200, 0.001)
    metrics.exposures("written", 1)
    metrics.exposures("lost", 1)
    metrics.request("recommend", 500, 0.001)
    metrics.request("overload", 503, 0.0)
    recommender = Recommender(FirstLevel(1, 0), None)
    for customer in ("anna", "nobody"):
        metrics.answer(recommender.recommend(served, customer, Query(n=9)), None)
    for why in ("credential", "browser"):
        metrics.turned_away(why)
    metrics.cache("dropped")
    events = EventCounters(metrics.registry)
    events.event("view", "recorded")
    events.event("purchase", "conflict")
    found: dict[str, dict[str, set[str]]] = {name: {} for name in BY_THE_NIGHT}
    for family in text_string_to_metric_families(metrics.text(store.root).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def must_be_exported(query: str, exported: Exported) -> None:
    """Every figure of a query, with its labels and, where it asks for values, at least one of these."""
    selectors = SELECTOR.findall(query)
    assert selectors
    for name, matchers in selectors:
        assert name in exported, name
        for label, is_pattern, value in re.findall(r'(\w+)!?=(~?)"([^"]*)"', matchers):
            assert label in exported[name], (name, label)
            fits = partial(re.fullmatch, value) if is_pattern else value.__eq__
            assert any(fits(seen) for seen in exported[name][label]), (name, label, value)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_asks_for_figures_labels_and_values_that_are_exported(
    rule: dict[str, Any], exported: Exported
) -> None:
    must_be_exported(rule["expr"], exported)


def test_what_an_alert_wants_to_see_increase_once_is_exported_before_it_does(tmp_path: Path) -> None:
    """Prometheus takes the first value of a counter that wasn't there as its start: one key in a browser's
    page, after a restart, would call nobody."""
    at_start = Metrics(None).text(tmp_path).decode()
    for rule in RULES.values():
        for name, labels in re.findall(r"increase\((nextbest_\w+)(\{[^}]*\})?\[1h\]\)", rule["expr"]):
            assert f"{name}{labels} 0.0" in at_start


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_what_is_over_before_it_lasted_pages_nobody(rule: dict[str, Any]) -> None:
    """A rate stays above 0 for as long as it looks back: as long as the alert waits, and each minute in which
    `record expire` kept an event waiting would page five minutes later. A single key in a page should."""
    windows = re.findall(r"\[(\d+)m\]", rule["expr"])
    if rule["labels"]["severity"] == "page" and windows:
        assert max(map(int, windows)) < int(rule["for"].removesuffix("m"))


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_a_panel_of_the_dashboard_asks_for_what_is_exported(
    panel: dict[str, Any], exported: Exported
) -> None:
    for target in panel["targets"]:
        must_be_exported(target["expr"], exported)
        [(name, _), *_] = SELECTOR.findall(target["expr"])
        for label in re.findall(r"by \(([^)]*)\)", target["expr"]):
            assert set(label.split(", ")) <= {*exported[name], "le"}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= {*label.split(", ")}


def test_the_docs_name_every_figure_and_no_other(exported: Exported) -> None:
    told = [name for name in exported if name.startswith("nextbest_") and not name.endswith("_created")]
    names = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    assert set(re.findall(r"`(nextbest_\w+)(?:\{[^`]*)?`", OPERATIONS)) == names


def test_the_docs_say_of_every_alert_what_to_do_and_of_no_other() -> None:
    rows = re.findall(r"^\| `(Nextbest\w+)` \| (.+) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_says_how_bad_it_is_and_what_it_is(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "warn"}
    assert rule["annotations"]["summary"]
    assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))
