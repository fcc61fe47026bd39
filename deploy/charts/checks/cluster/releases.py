"""Releases of the umbrella by Helm in a cluster, and the chart that came before this one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.charts.checks.cluster.api import Cluster
from deploy.charts.checks.layout import CHARTS, ROOT, TOOLS
from deploy.charts.checks.rendering import RELEASE, Manifest, helm
from msgspec import Struct

WAIT_SECONDS: Final = 180
PACKED: Final = ("deploy/charts", "deploy/observability")


class Release(Struct, frozen=True):
    """A release of the umbrella in one namespace."""

    cluster: Cluster
    namespace: str
    name: str = RELEASE

    def helm(self, command: str, *arguments: str | Path) -> str:
        """A command of Helm's on this release."""
        environment = os.environ | {"KUBECONFIG": self.cluster.kubeconfig}
        options = ["--namespace", self.namespace, f"--timeout={WAIT_SECONDS}s"]
        return helm(command, self.name, *arguments, *options, seconds=WAIT_SECONDS + 60, env=environment)

    def pods(self, service: str) -> list[Manifest]:
        """A service's pods that aren't on their way out."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/name={service}"
        answer = self.cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=selector)
        pods: list[Manifest] = answer.raise_for_status().json()["items"]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def images(self, service: str) -> set[str]:
        """What a service's pods run."""
        return {pod["spec"]["containers"][0]["image"] for pod in self.pods(service)}

    def called(self, service: str) -> set[str]:
        """The names of the pods that a service's address leads to."""
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        answer = self.cluster.request("GET", slices, labelSelector=f"kubernetes.io/service-name={self.name}-{service}")
        found = [endpoint for each in answer.raise_for_status().json()["items"] for endpoint in each["endpoints"] or []]
        return {endpoint["targetRef"]["name"] for endpoint in found}

    def migrations(self) -> int:
        """How many migration Jobs have come to their end here, as the cluster's events tell; the Jobs themselves are gone."""
        events = self.cluster.items(f"/api/v1/namespaces/{self.namespace}/events")
        ended = [event["involvedObject"] for event in events if event["reason"] == "Completed"]
        return len({job["uid"] for job in ended if job["kind"] == "Job" and job["name"].endswith("-migrate")})


def package(folder: Path) -> Path:
    """The umbrella that `build` packed into a folder."""
    (found,) = folder.glob("meetai-[0-9]*.tgz")
    return found


def previous_package(folder: Path) -> tuple[Path, str]:
    """The umbrella that came before, and which that is.

    The last release's; where no tag has charts, that of the commit before the last one that changed them; where there is none,
    today's under an older version.
    """
    tags = _git("tag", "--list", "v*", "--sort=-v:refname", "--merged").split()
    changes = _git("log", "-2", "--format=%H", "--", "deploy/charts").split()
    for revision in [*tags, *changes[1:]]:
        if not _git("ls-tree", "--name-only", revision, "deploy/charts/meetai/Chart.yaml"):
            continue
        parts = [part for part in PACKED if _git("ls-tree", "--name-only", revision, part)]
        archive = subprocess.run(
            ["git", "archive", revision, *parts], cwd=ROOT, capture_output=True, check=True, timeout=60
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True, timeout=60)
        _build(folder / "deploy" / "charts", folder)
        return package(folder), revision
    _build(CHARTS, folder, version="0.0.1")
    return package(folder), "today's as version 0.0.1, since there was none before"


def _build(charts: Path, folder: Path, *, version: str = "") -> None:
    environment = os.environ | {"HELM": str(TOOLS / "helm"), "VERSION": version}
    subprocess.run([charts / "build", folder], env=environment, check=True, capture_output=True, timeout=300)


def _git(*arguments: str | Path) -> str:
    command: Sequence[str | Path] = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stdout.strip()
