"""A real API server with simulated nodes, and namespaces in it that take restricted pods only."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from deploy.charts.checks.cluster.api import Cluster
from deploy.charts.checks.layout import ROOT
from deploy.charts.checks.leaving_out import leave_out

KUBE_API = Path(os.environ.get("MEETAI_KUBE_API", ROOT.parent / "shared" / "tools" / "kube-api"))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The API server that `make charts-tools` has started."""
    if not KUBE_API.exists() or not shutil.which("kubectl"):
        leave_out("no cluster can be had: there is no kube-api or no kubectl")
    told = subprocess.run([KUBE_API, "env"], capture_output=True, text=True, check=True, timeout=60).stdout
    kubeconfig = told.strip().removeprefix("export KUBECONFIG=")
    try:
        cluster = Cluster(kubeconfig)
        cluster.get("/api")
    except (OSError, httpx.TransportError):
        leave_out("no cluster answers: make charts-tools")
    return cluster


@pytest.fixture(scope="session")
def nodes(cluster: Cluster) -> Cluster:
    """The same, with controllers, a scheduler and two simulated nodes."""
    names = [node["metadata"]["name"] for node in cluster.items("/api/v1/nodes")]
    if len(names) < 2:
        leave_out("the cluster has no nodes: make charts-tools")
    # Simulated nodes say nothing of their disks, so no pod that asks for local storage would be placed.
    disks = {"capacity": {"ephemeral-storage": "100Gi"}, "allocatable": {"ephemeral-storage": "100Gi"}}
    for name in names:
        cluster.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": disks}).raise_for_status()
    return cluster


@pytest.fixture(scope="session")
def new_namespace(cluster: Cluster) -> Iterator[Callable[[], str]]:
    """Makes namespaces that refuse a pod that isn't restricted; they go at the end."""
    made: list[str] = []

    def make() -> str:
        name = f"meetai-{uuid.uuid4().hex[:8]}"
        levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": levels}}).raise_for_status()
        made.append(name)
        return name

    yield make
    for name in made:
        cluster.request("DELETE", f"/api/v1/namespaces/{name}").raise_for_status()
