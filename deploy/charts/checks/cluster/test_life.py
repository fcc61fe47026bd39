"""A release lives: installed, tested, upgraded, rolled back, drained from a node, removed. Pods are simulated, all else is real."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from deploy.charts.checks.cluster.api import Cluster, wait_until
from deploy.charts.checks.cluster.releases import Release, package, previous_package
from deploy.charts.checks.layout import MATRIX, SERVICES
from deploy.charts.checks.rendering import HelmRefusedError, Manifest

VALUES = f"--values={MATRIX / 'minimal.yaml'}"
REPLICAS = 3
pytestmark = pytest.mark.timeout(1200)  # Helm's own bounds come first, and say what they waited for
RIGHTS = ("get secrets", "list pods", "create pods", "get configmaps", "update deployments.apps", "delete events")


def test_release_is_upgraded_rolled_back_and_leaves_nothing(
    nodes: Cluster, new_namespace: Callable[[], str], packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the previous chart to this one, and back, and away. Migrations run on the way up only."""
    release = Release(nodes, new_namespace())
    before, which = previous_package(tmp_path)
    with capsys.disabled():
        print(f"\ncharts: upgraded from {which}")
    release.helm("install", before, VALUES, "--set=global.image.tag=before", "--wait")
    assert release.images("token") == {"meetai/token:before"}
    assert wait_until(lambda: release.migrations() == 2, "two migrations before the installation")

    release.helm("upgrade", package(packages), VALUES, "--set=global.image.tag=now", "--wait")
    for service in ("token", "webhook-bridge", "transcript-ingest"):
        wait_until(partial(runs_only, release, service, "now"), f"the new {service} alone")
    assert wait_until(lambda: release.migrations() == 4, "two more before the upgrade")

    release.helm("rollback", "1", "--wait")
    wait_until(partial(runs_only, release, "transcript-ingest", "before"), "the old image again")
    assert release.migrations() == 4

    release.helm("uninstall", "--wait")
    wait_until(
        lambda: not nodes.left_in(release.namespace), f"nothing left, not even {nodes.left_in(release.namespace)}"
    )


def test_upgrade_whose_migration_fails_changes_nothing(
    nodes: Cluster, new_namespace: Callable[[], str], packages: Path
) -> None:
    """No pod is so much as restarted, by it or by the rollback after it; its Job is there to be read, until the next upgrade."""
    release = Release(nodes, new_namespace())
    jobs = f"/apis/batch/v1/namespaces/{release.namespace}/jobs"
    release.helm("install", package(packages), VALUES, "--set=global.image.tag=before", "--wait")
    pods = {service: names_of(release, service) for service in SERVICES}

    nowhere = ("--set=webhook-bridge.pod.nodeSelector.there=none", "--set=webhook-bridge.migrations.deadlineSeconds=10")
    with pytest.raises(HelmRefusedError, match="meetai-webhook-bridge-migrate"):
        release.helm("upgrade", package(packages), VALUES, "--set=global.image.tag=broken", *nowhere, "--wait")
    (failed,) = nodes.items(jobs)
    assert "Failed" in {condition["type"] for condition in failed["status"]["conditions"]}
    assert {service: names_of(release, service) for service in SERVICES} == pods

    release.helm("rollback", "1", "--wait")
    assert {service: names_of(release, service) for service in SERVICES} == pods

    release.helm("upgrade", package(packages), VALUES, "--set=global.image.tag=now", "--wait")
    wait_until(partial(runs_only, release, "webhook-bridge", "now"), "the new webhook-bridge alone")
    assert nodes.items(jobs) == []
    release.helm("uninstall", "--wait")


@pytest.fixture(scope="module")
def installed(nodes: Cluster, new_namespace: Callable[[], str], packages: Path) -> Iterator[Release]:
    """This chart, three pods of each service."""
    release = Release(nodes, new_namespace())
    three = [f"--set={service}.autoscaling.minReplicas=3" for service in SERVICES if service != "agent"]
    release.helm("install", package(packages), VALUES, *three, "--set=agent.replicas=3", "--wait")
    for service in SERVICES:
        wait_until(partial(is_whole, release, service), f"three pods of {service}")
    yield release
    release.helm("uninstall", "--wait")


def test_helms_tests_come_to_their_end(installed: Release) -> None:
    """That they run, not what they show: no container does. tests/integration runs their scripts against real services."""
    told = installed.helm("test")
    assert told.count("Phase:          Succeeded") >= 2


def test_service_accounts_may_do_nothing(installed: Release) -> None:
    for service in SERVICES:
        account = f"system:serviceaccount:{installed.namespace}:meetai-{service}"
        for right in RIGHTS:
            command = ["kubectl", f"--kubeconfig={installed.cluster.kubeconfig}", "auth", "can-i", *right.split()]
            command += [f"--namespace={installed.namespace}", f"--as={account}"]
            asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert asked.stdout.strip() == "no", f"{service} may {right}"


def test_pods_are_spread_over_nodes(installed: Release) -> None:
    for service in SERVICES:
        assert len({pod["spec"]["nodeName"] for pod in installed.pods(service)}) == 2


def test_another_release_beside_it_is_no_matter(installed: Release, packages: Path) -> None:
    """Two in one namespace: each address leads to its own pods, and what goes with one is its own alone."""
    cluster, namespace = installed.cluster, installed.namespace
    before = set(cluster.left_in(namespace))
    another = Release(cluster, namespace, name="another")
    another.helm("install", package(packages), VALUES, "--wait")
    for release in (installed, another):
        wait_until(partial(is_called_itself, release, "token"), f"{release.name}'s own pods behind its address")
    assert before < set(cluster.left_in(namespace))

    another.helm("uninstall", "--wait")
    wait_until(lambda: set(cluster.left_in(namespace)) == before, "what was there before, and no more")


def test_drain_waits_for_the_budgets(installed: Release) -> None:
    """One pod of a service may be evicted, and no other before it is replaced; then a node is drained and all are whole."""
    cluster, pods = installed.cluster, f"/api/v1/namespaces/{installed.namespace}/pods"
    budgets = f"/apis/policy/v1/namespaces/{installed.namespace}/poddisruptionbudgets"

    def evicted(name: str) -> bool:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        answer = cluster.request("POST", f"{pods}/{name}/eviction", body)
        assert answer.status_code in {201, 404, 429}
        return answer.status_code != 429

    def all_gone() -> bool:
        return not [name for name in _on("node-1", cluster.items(pods)) if not evicted(name)] and not _on(
            "node-1", cluster.items(pods)
        )

    wait_until(lambda: all(each["status"]["disruptionsAllowed"] == 1 for each in cluster.items(budgets)), "budgets")
    try:
        _cordon(cluster, "node-1", "node-2")  # so that nothing is replaced yet
        for service in SERVICES:
            first, second, _ = (pod["metadata"]["name"] for pod in installed.pods(service))
            assert evicted(first)
            assert not evicted(second), f"two pods of {service} at once"
        # `kubectl drain` in its own words: a cordon, and evictions that are tried again while a budget forbids them.
        _cordon(cluster, "node-2", cordoned=False)
        wait_until(all_gone, "a node without our pods")
        for service in SERVICES:
            wait_until(partial(is_whole, installed, service), f"{service} whole again on the other node")
    finally:
        _cordon(cluster, "node-1", "node-2", cordoned=False)


def _cordon(cluster: Cluster, *nodes: str, cordoned: bool = True) -> None:
    for node in nodes:
        path = f"/api/v1/nodes/{node}"
        cluster.request("PATCH", path, {"spec": {"unschedulable": cordoned}}).raise_for_status()


def _on(node: str, pods: list[Manifest]) -> list[str]:
    here = [pod for pod in pods if pod["spec"].get("nodeName") == node]
    return [pod["metadata"]["name"] for pod in here if "deletionTimestamp" not in pod["metadata"]]


def runs_only(release: Release, service: str, tag: str) -> bool:
    """Whether all pods of a service are of this image."""
    return release.images(service) == {f"meetai/{service}:{tag}"}


def names_of(release: Release, service: str) -> set[str]:
    """A service's pods by name."""
    return {pod["metadata"]["name"] for pod in release.pods(service)}


def is_called_itself(release: Release, service: str) -> bool:
    """Whether a service's address leads to all of its release's pods, and to no others."""
    return release.called(service) == names_of(release, service)


def is_whole(release: Release, service: str) -> bool:
    """Whether all pods of a service are ready."""
    conditions = [pod["status"].get("conditions", []) for pod in release.pods(service)]
    return [{"Ready": "True"}.items() <= {c["type"]: c["status"] for c in each}.items() for each in conditions] == [
        True
    ] * REPLICAS
