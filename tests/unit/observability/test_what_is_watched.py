"""Rules, dashboards, runbooks and the list of metrics fit together and fit the code."""

from __future__ import annotations

import re
from collections import Counter

from deploy.observability.source.__main__ import FOLDER, dashboards
from deploy.observability.source.metrics import PAGE, known_metrics, page
from tests.unit.observability.rules import NAME, OBSERVABILITY, RUNBOOKS, alerts, expressions, recorded, rules

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
FACTORS = {"page": [("14.4", "1h", "5m"), ("6", "6h", "30m")], "ticket": [("3", "1d", "2h"), ("1", "3d", "6h")]}
FEW = {
    "call", "check", "event", "fate", "format", "kind", "method", "name", "outcome", "reason", "role", "route", "source",
    "state", "status", "stream", "topic", "what",
}  # fmt: skip
"""Labels, each with a few values; what has many (meetings, rooms, people) is in logs and traces."""
BASE_UNITS = re.compile(r"_(seconds|bytes|ratio)$")
COUNTED = {"meetai_agent_jobs_max"}


def test_the_list_of_metrics_is_what_the_services_register() -> None:
    """A metric that is new, gone or renamed fails until `python -m deploy.observability.source.metrics` has run."""
    text = PAGE.read_text()
    assert page(text) == text


def test_metrics_are_named_by_prometheus_conventions() -> None:
    """Prefix, base units, `_total`; a help text; labels of which each has a few values."""
    for service, metrics in known_metrics().items():
        assert len({metric.name for metric in metrics}) == len(metrics), service
        for metric in metrics:
            assert metric.name.startswith("meetai_")
            assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
            assert metric.kind != "histogram" or BASE_UNITS.search(metric.name), metric.name
            assert not re.search(r"_(ms|millis|minutes|percent|kb|mb)(_|$)", metric.name), metric.name
            assert metric.about.endswith("."), metric.name
            assert set(metric.labels) <= FEW, metric.name


def test_rules_and_dashboards_ask_for_what_there_is() -> None:
    """Every name in every query is a series of a service, or recorded by a rule."""
    there = {name for metrics in known_metrics().values() for metric in metrics for name in metric.series} | recorded()
    for where, expression in expressions():
        asked = set(NAME.findall(expression))
        assert asked, where
        assert asked <= there, f"{where}: {asked - there}"


def test_every_alert_leads_to_its_runbook_and_every_runbook_to_an_alert() -> None:
    """By name, with a severity somebody acts on, and words for who is woken."""
    for alert in alerts():
        name, annotations = alert["alert"], alert["annotations"]
        assert name.startswith("MeetAI")
        assert annotations["runbook_url"] == f"https://docs.meetai.example/runbooks/{name}.html"
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert annotations["summary"].endswith(".")
        assert annotations["description"].endswith(".")
    named = {alert["alert"] for alert in alerts()}
    assert {path.stem for path in RUNBOOKS.glob("MeetAI*.md")} == named


def test_every_alert_fires_in_a_test_of_its_rule() -> None:
    """What never fires where everybody looks won't at night either; promtool runs these (`make alerts`)."""
    tested = "".join(path.read_text() for path in (OBSERVABILITY / "tests").glob("*.yaml"))
    for alert in alerts():
        assert f'alertname="{alert["alert"]}", severity="{alert["labels"]["severity"]}"' in tested


def test_objectives_burn_alike() -> None:
    """Each has its error ratio over every window, and the workbook's two pages and two tickets over pairs of them."""
    files = Counter(path.stem.removeprefix("slo-") for path, _ in rules() if path.stem.startswith("slo-"))
    assert set(files) == {"caption", "durable", "webhook", "token"}
    for slo in files:
        assert {f"meetai:{slo}_errors:ratio_rate{window}" for window in WINDOWS} <= recorded()
        burning = [alert for alert in alerts() if alert["labels"].get("slo") == slo]
        assert [alert["labels"]["severity"] for alert in burning] == ["page", "ticket"]
        budgets = set()
        for alert in burning:
            found = re.findall(r"ratio_rate(\w+) > \(([\d.]+) \* ([\d.]+)\)", alert["expr"])
            wanted = FACTORS[alert["labels"]["severity"]]
            pairs = [(window, factor) for factor, long, short in wanted for window in (long, short)]
            assert [(window, factor) for window, factor, _ in found] == pairs
            budgets |= {budget for *_, budget in found}
        assert len(budgets) == 1, slo


def test_dashboards_are_what_their_source_says() -> None:
    """`python -m deploy.observability.source` has run."""
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == dashboards()
