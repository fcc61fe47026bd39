"""kube-score over all that is rendered: nothing critical, but for what is said here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from deploy.charts.checks.rendering import matrix, rendered_matrix, tool

ACCEPTED: Final = {
    # Tags of ours don't move, and a node that has the image can start a pod while the registry is away.
    "container-image-pull-policy": "IfNotPresent is a choice (global.image.pullPolicy)",
    # A CPU limit slows requests down while the node idles; the requests give each its share.
    "container-cpu-limit": "requests share the CPU out",
}
CRITICAL: Final = 1
NO_POLICIES: Final = "pod-networkpolicy"


@pytest.mark.parametrize("name", matrix())
def test_nothing_critical_is_found(name: str) -> None:
    ignored = ["--ignore-container-cpu-limit", "--ignore-test=container-image-pull-policy"]
    if name == "open-network":
        ignored.append(f"--ignore-test={NO_POLICIES}")
    score: list[str | Path] = [
        tool("kube-score"),
        "score",
        "--output-format=json",
        "--kubernetes-version=v1.30",
        *ignored,
        "-",
    ]
    manifests = yaml.safe_dump_all(rendered_matrix(name))
    ended = subprocess.run(score, input=manifests, capture_output=True, text=True, timeout=60, check=False)
    found = [
        (thing["object_name"], check["check"]["id"], [comment["summary"] for comment in check["comments"] or []])
        for thing in json.loads(ended.stdout)
        for check in thing["checks"] or []
        if not check["skipped"] and check["grade"] <= CRITICAL
    ]
    assert not found
