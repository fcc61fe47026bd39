"""What may be set, and what happens to what may not."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
import yaml
from deploy.charts.checks.documents import undescribed_values
from deploy.charts.checks.layout import CHARTS, INSTALLED, MATRIX, NOT_IN_CONFIG, ROOT, SERVICES, SETTINGS, UMBRELLA
from deploy.charts.checks.rendering import NAMESPACE, HelmRefusedError, helm, matrix, of_kind, render, rendered_matrix
from deploy.charts.checks.schemas import camel
from deploy.charts.checks.written import main as write
from msgspec import NODEFAULT

LIVEKIT = {"global.livekit.url": "wss://livekit.example.org"}


def test_made_files_are_fresh() -> None:
    """values.yaml's shared parts, schemas and READMEs are what `make charts-write` would write."""
    assert write(["--check"]) == 0


@pytest.mark.parametrize("chart", INSTALLED)
def test_every_value_is_described(chart: str) -> None:
    assert list(undescribed_values(CHARTS / chart / "values.yaml")) == []


@pytest.mark.parametrize("chart", INSTALLED)
def test_charts_pass_lint(chart: str) -> None:
    helm("lint", "--strict", "--quiet", "--set=global.livekit.url=wss://livekit.example.org", CHARTS / chart)


@pytest.mark.parametrize("name", matrix())
def test_umbrella_passes_lint_whatever_is_set(name: str) -> None:
    helm(
        "lint",
        "--strict",
        "--quiet",
        "--with-subcharts=false",
        f"--values={CHARTS / 'ci' / name}.yaml",
        CHARTS / UMBRELLA,
    )


@pytest.mark.parametrize(
    ("chart", "values", "named"),
    [
        ("token", {"replica": 3}, "replica"),
        ("token", {"config.tokenTtl": 300}, "tokenTtl"),
        ("token", {"config.tokenTtlSeconds": 59}, "tokenTtlSeconds"),
        ("token", {"config.tokenTtlSeconds": "600"}, "tokenTtlSeconds"),
        ("token", {"config.livekitApiSecret": "x"}, "livekitApiSecret"),
        ("token", {"autoscaling.type": "keda"}, "type"),
        ("token", {"image.tag": 2026.1}, "tag"),
        ("token", {"image.repository": "meetai token"}, "repository"),
        ("token", {"ingress.host": "https://tokens.example.org"}, "host"),
        ("token", {"pod.nodeSelector": {"zone": "a b"}}, "zone"),
        (UMBRELLA, {"global.monitoring.runbooksUrl": "docs.example.org"}, "runbooksUrl"),
        (UMBRELLA, {"global.monitoring.runbooksUrl": "https://docs.example.org/a: b"}, "runbooksUrl"),
        ("token", {"resources.requests.memmory": "1Gi"}, "memmory"),
        ("token", {"resources.limits.memory": "1 GB"}, "memory"),
        ("webhook-bridge", {"inngest.eventKey": "evt key"}, "eventKey"),
        ("webhook-bridge", {"config.relayEvents": "room_started"}, "relayEvents"),
        ("transcript-ingest", {"database.url": "postgresql://me:secret@db/meetings"}, "url"),
        ("transcript-ingest", {"config.retentionDays": 0}, "retentionDays"),
        ("agent", {"config.stt": "whisper"}, "stt"),
        ("agent", {"resources.limit": {}}, "limit"),
        (UMBRELLA, {"global.livekit.uri": "wss://livekit.example.org"}, "uri"),
        (UMBRELLA, {"tokens": {"enabled": False}}, "tokens"),
        (UMBRELLA, {"token.config.tokenTtl": 300}, "tokenTtl"),
        (UMBRELLA, {"global.networkPolicy.redis.ports": [{"port": "redis"}]}, "port"),
    ],
)
def test_wrong_value_is_refused_by_name(chart: str, values: dict[str, Any], named: str) -> None:
    with pytest.raises(HelmRefusedError, match=rf"['/.]{named}\b"):
        render(chart, LIVEKIT | values)


@pytest.mark.parametrize(
    ("chart", "values", "words"),
    [
        ("token", {}, "global.livekit.url"),
        ("agent", LIVEKIT | {"terminationGracePeriodSeconds": 3709}, "must be at least 3710"),
        ("agent", LIVEKIT | {"autoscaling.type": "keda"}, "global.monitoring.prometheusUrl"),
        ("token", LIVEKIT | {"autoscaling.minReplicas": 11}, "autoscaling.minReplicas"),
        ("token", LIVEKIT | {"ingress.enabled": True}, "ingress.host"),
        ("token", LIVEKIT | {"httpRoute.enabled": True}, "httpRoute.parentRefs"),
        ("webhook-bridge", LIVEKIT | {"inngest.existingSecret": ""}, "inngest.existingSecret"),
        ("token", LIVEKIT | {"serviceKeys.existingSecret": ""}, "SERVICE_KEYS: existingSecret"),
    ],
)
def test_what_cannot_work_together_is_refused_in_words(chart: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmRefusedError, match=words):
        render(chart, values)


@pytest.mark.parametrize("release", ["meetai", "token", "a" * 53])
def test_notes_name_services_that_there_are(release: str) -> None:
    """However long a release's name is; resources' names have it cut."""
    values = f"--values={MATRIX / 'minimal.yaml'}"
    told = helm("install", release, CHARTS / UMBRELLA, values, "--dry-run=client", "--namespace", NAMESPACE)
    manifests, notes = told.split("NOTES:")
    services = set(re.findall(r"kind: Service\nmetadata:\n  name: (\S+)", manifests))
    assert len(services) >= 3
    named = set(re.findall(rf"http://([^.]+)\.{NAMESPACE}:", notes))
    assert len(named) == 3
    assert named <= services


@pytest.mark.parametrize("service", SERVICES)
def test_config_is_the_settings_class_with_its_defaults(service: str) -> None:
    """Every plain setting can be set by its name, and what values.yaml shows is what the service would take by itself."""
    config = yaml.safe_load((CHARTS / service / "values.yaml").read_text())["config"]
    expected = {}
    for field in msgspec.structs.fields(SETTINGS[service]):
        if field.name not in NOT_IN_CONFIG:
            default = None if field.default is NODEFAULT else field.default
            expected[camel(field.name)] = list(default) if isinstance(default, tuple) else default
    expected.pop("relayEvents", None)  # `room_finished` is always relayed, so naming nothing is the default
    shown = {key: None if value == "" else value for key, value in config.items() if key != "relayEvents"}
    assert shown == {key: None if value == "" else value for key, value in expected.items()}


@pytest.mark.parametrize("chart", INSTALLED)
def test_chart_carries_the_workspaces_version(chart: str) -> None:
    told = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{told["appVersion"]}"' in project
    assert told["version"] == re.sub(r"(a|b|rc)(\d+)$", r"-\1.\2", told["appVersion"])
    assert all(dependency["version"] == told["version"] for dependency in told["dependencies"])


def test_umbrella_carries_all_alerts_and_dashboards() -> None:
    """Those of deploy/observability, by links that Helm follows when it packs a chart."""
    manifests = rendered_matrix("everything")
    rules = {path.stem for path in (ROOT / "deploy/observability/rules").glob("*.yaml")}
    assert {name.removeprefix("meetai-") for name in of_kind(manifests, "PrometheusRule")} == rules
    boards = {path.name: path.read_text() for path in (ROOT / "deploy/observability/dashboards").glob("*.json")}
    carried = {file: text for board in of_kind(manifests, "ConfigMap").values() for file, text in board["data"].items()}
    assert {file: json.loads(text) for file, text in carried.items()} == {f: json.loads(t) for f, t in boards.items()}
    assert rules
    assert boards


@pytest.mark.parametrize(
    ("told", "before"),
    [
        ("", "https://docs.meetai.example/runbooks/"),
        ("https://docs.example.org/meetai/runbooks", "https://docs.example.org/meetai/runbooks/"),
        ("https://docs.example.org/", "https://docs.example.org/"),
    ],
)
def test_alerts_lead_to_where_the_runbooks_are_served(told: str, before: str) -> None:
    """All of them, each to its own; nothing else in a rule is changed."""
    values = LIVEKIT | {"global.monitoring.rules": True, "global.monitoring.runbooksUrl": told}
    groups = {name: rule["spec"] for name, rule in of_kind(render(UMBRELLA, values), "PrometheusRule").items()}
    assert groups
    for name, spec in groups.items():
        written = (ROOT / "deploy/observability/rules" / f"{name.removeprefix('meetai-')}.yaml").read_text()
        assert spec == yaml.safe_load(written.replace("https://docs.meetai.example/runbooks/", before))
