"""Are there always enough pods: numbers, spread, budgets, probes, and what autoscalers ask Prometheus for."""

from __future__ import annotations

import re
from typing import Any, Final

from deploy.charts.checks.layout import SERVICES
from deploy.charts.checks.rendering import RELEASE, Manifest, matrix, of_kind, pod_of, rendered_matrix
from deploy.observability.source.metrics import known_metrics

SELECTED: Final = re.compile(r"(meetai_\w+)\{([^}]*)\}")
GROUPED: Final = re.compile(r"by \((\w+)\)")
OF_KUBERNETES: Final = {"namespace", "service"}
"""Labels that a ServiceMonitor adds to whatever a pod tells."""


def test_scaling_and_replicas_are_set_by_one_hand() -> None:
    """A Deployment that an autoscaler looks after names no number of its own, and has one autoscaler."""
    for name in matrix():
        manifests = rendered_matrix(name)
        scalers: list[Any] = [*of_kind(manifests, "HorizontalPodAutoscaler").values()]
        scalers += of_kind(manifests, "ScaledObject").values()
        scaled = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
        assert len(scaled) == len(set(scaled))
        for deployment in of_kind(manifests, "Deployment").values():
            assert (deployment["metadata"]["name"] in scaled) == ("replicas" not in deployment["spec"])


def test_autoscalers_ask_for_what_is_measured() -> None:
    """A metric of the service, by labels that it has, of the Service that Prometheus is told to watch."""
    manifests = rendered_matrix("everything")
    scaled = of_kind(manifests, "ScaledObject")
    assert set(scaled) == {f"{RELEASE}-agent", f"{RELEASE}-transcript-ingest"}
    for name, scaler in scaled.items():
        (trigger,) = scaler["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        (asked,) = SELECTED.findall(query)
        measured = {metric.name: metric for metric in known_metrics()[name.removeprefix(f"{RELEASE}-")]}[asked[0]]
        selected = dict(part.split("=") for part in asked[1].split(","))
        assert {*selected, *GROUPED.findall(query)} <= {*measured.labels, *OF_KUBERNETES}
        assert selected["service"] == f'"{name}"'
        assert name in of_kind(manifests, "Service")
        assert name in of_kind(manifests, "ServiceMonitor")


def test_every_deployment_is_spread_and_has_a_budget() -> None:
    for name in matrix():
        manifests = rendered_matrix(name)
        budgets = of_kind(manifests, "PodDisruptionBudget")
        for service, deployment in of_kind(manifests, "Deployment").items():
            selector = deployment["spec"]["selector"]
            assert budgets[service]["spec"]["selector"] == selector
            spread = (pod_of(deployment) or {})["topologySpreadConstraints"]
            assert {each["topologyKey"] for each in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
            assert all(each["labelSelector"] == selector for each in spread)


def test_probes_leave_time_to_start_and_end_what_hangs() -> None:
    """Minutes to start, as the agent's models need; a pod that hangs is ended within minutes, and never for a slow dependency."""
    for service in SERVICES:
        container = (pod_of(of_kind(rendered_matrix("minimal"), "Deployment")[f"{RELEASE}-{service}"]) or {})[
            "containers"
        ][0]
        assert 120 <= _patience(container["startupProbe"]) <= 600
        assert 30 <= _patience(container["livenessProbe"]) <= 120
        assert _patience(container["readinessProbe"]) <= 15
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"  # asks nothing of Redis, PostgreSQL or LiveKit


def _patience(probe: Manifest) -> int:
    seconds: int = probe["periodSeconds"] * probe["failureThreshold"]
    return seconds
