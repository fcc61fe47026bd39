"""Would the API server take all that is rendered? It refuses what schemas let pass: selectors, ports, limits, unknown fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deploy.charts.checks.cluster.api import Cluster
from deploy.charts.checks.rendering import Manifest, matrix, of_kind, rendered_matrix


@pytest.fixture(scope="module")
def namespace(new_namespace: Callable[[], str]) -> str:
    return new_namespace()


def moved(manifest: Manifest, namespace: str) -> Manifest:
    return manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}


@pytest.mark.parametrize("name", matrix())
def test_server_would_take_all_of_it_without_a_warning(cluster: Cluster, namespace: str, name: str) -> None:
    refused = {}
    for manifest in rendered_matrix(name):
        refusal = cluster.refusal(moved(manifest, namespace), namespace)
        if refusal:
            refused[f"{manifest['kind']} {manifest['metadata']['name']}"] = refusal
    assert refused == {}


def test_server_refuses_what_is_wrong(cluster: Cluster, namespace: str) -> None:
    """Else the test above would show nothing: an unknown field, and a pod that isn't restricted."""
    deployment = moved(of_kind(rendered_matrix("minimal"), "Deployment")["meetai-token"], namespace)
    assert "unknown field" in (cluster.refusal(deployment | {"specs": 1}, namespace) or "")
    pod = deployment["spec"]["template"]["spec"] | {"hostNetwork": True}
    template = deployment["spec"]["template"] | {"spec": pod}
    loose = deployment | {"spec": deployment["spec"] | {"template": template}}
    assert "PodSecurity" in (cluster.refusal(loose, namespace) or "")
