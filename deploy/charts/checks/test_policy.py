"""What every pod, policy and budget of the charts is, under all values that are tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deploy.charts.checks.rendering import Manifest, matrix, of_kind, pod_of, rendered_matrix

ARROWS = {
    "token": {"livekit", "redis", "identityProvider", "telemetry"},
    "webhook-bridge": {"livekit", "redis", "postgres", "inngest", "telemetry"},
    "transcript-ingest": {"redis", "postgres", "telemetry"},
    "agent": {"livekit", "livekitMedia", "redis", "providers", "telemetry"},
}
"""DESIGN's picture: whom each service calls."""


def pods() -> Iterator[tuple[str, Manifest, Manifest]]:
    """Each pod that is made under any of the values: where, in what, and its spec."""
    for name in matrix():
        for manifest in rendered_matrix(name):
            pod = pod_of(manifest)
            if pod is not None:
                yield f"{name}: {manifest['kind']} {manifest['metadata']['name']}", manifest, pod


def test_every_pod_is_restricted() -> None:
    """As Kubernetes' own standard says, and beyond it: a read-only file system, and no token of the API server's."""
    for where, _, pod in pods():
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["securityContext"]["runAsNonRoot"], where
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), where
        assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"]), where
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"], where
            assert not security["allowPrivilegeEscalation"], where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert security["runAsUser"] > 10_000, where
            assert {"memory", "ephemeral-storage"} <= set(container["resources"]["limits"]), where
            assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["requests"]), where


def test_no_secret_is_written_down() -> None:
    """No Secret is made, and what holds a credential comes by reference."""
    secret = ("_SECRET", "_API_KEY", "_URL", "_KEYS", "_EVENT_KEY", "_SIGNING_KEY", "_API_KEY_NEXT", "_SECRET_NEXT")
    plain = {"LIVEKIT_URL", "LIVEKIT_PUBLIC_URL", "SERVICE_URL", "LIVEKIT_MORE_KEYS"}
    plain |= {"OPENAI_BASE_URL", "DEEPGRAM_BASE_URL", "INNGEST_BASE_URL", "INNGEST_EVENT_API_BASE_URL"}
    for where, _, pod in pods():
        for variable in pod["containers"][0]["env"]:
            if variable["name"].endswith(secret) and variable["name"] not in plain:
                assert "valueFrom" in variable, f"{where}: {variable['name']}"
            if variable["name"] == "LIVEKIT_MORE_KEYS":
                assert variable["value"] == "$(LIVEKIT_API_KEY_NEXT):$(LIVEKIT_API_SECRET_NEXT)"
    assert not any(of_kind(rendered_matrix(name), "Secret") for name in matrix())


def test_no_rights_are_given() -> None:
    kinds = {manifest["kind"] for name in matrix() for manifest in rendered_matrix(name)}
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & kinds
    for name in matrix():
        accounts = of_kind(rendered_matrix(name), "ServiceAccount")
        assert all(account["automountServiceAccountToken"] is False for account in accounts.values())


@pytest.mark.parametrize("service", ARROWS)
def test_network_allows_the_arrows_and_no_others(service: str) -> None:
    policies = of_kind(rendered_matrix("minimal"), "NetworkPolicy")
    policy = policies[f"meetai-{service}"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    ports = {(port["protocol"], port["port"]) for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {("UDP", 53), ("TCP", 53)} | {port for arrow in ARROWS[service] for port in PORTS[arrow]}
    if service == "agent":  # Prometheus alone comes to it
        (rule,) = policy["ingress"]
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert all(rule["from"] and rule["ports"] == [{"protocol": "TCP", "port": "http"}] for rule in policy["ingress"])


PORTS = {
    "livekit": {("TCP", 443), ("TCP", 7880)},
    "livekitMedia": {("UDP", 443), ("UDP", 3478), ("UDP", 7882), ("UDP", 50_000), ("TCP", 5349), ("TCP", 7881)},
    "redis": {("TCP", 6379)},
    "postgres": {("TCP", 5432)},
    "inngest": {("TCP", 443), ("TCP", 8288)},
    "identityProvider": {("TCP", 443)},
    "providers": {("TCP", 443)},
    "telemetry": {("TCP", 4318)},
}


def test_every_pod_is_under_a_policy_of_its_own() -> None:
    """Hooks too, which run before the services' policies exist. What a hook needs is there before it and gone after it."""
    for name in set(matrix()) - {"open-network"}:
        policies = of_kind(rendered_matrix(name), "NetworkPolicy")
        for manifest in rendered_matrix(name):
            if pod_of(manifest) is None:
                continue
            labels = manifest["spec"]["template"]["metadata"]["labels"].items()
            ours = [p for p in policies.values() if p["spec"]["podSelector"]["matchLabels"].items() <= labels]
            assert len(ours) == 1, f"{name}: {manifest['metadata']['name']}"
            hook = manifest["metadata"].get("annotations", {})
            if "helm.sh/hook" in hook:
                before = ours[0]["metadata"]["annotations"]
                assert before["helm.sh/hook"] == hook["helm.sh/hook"]
                assert int(before["helm.sh/hook-weight"]) < int(hook.get("helm.sh/hook-weight", 0))
                assert "hook-succeeded" in before["helm.sh/hook-delete-policy"]


def test_no_policy_is_made_where_none_is_wanted() -> None:
    assert not of_kind(rendered_matrix("open-network"), "NetworkPolicy")


def test_only_what_callers_need_is_led_to_from_outside() -> None:
    """Neither metrics nor health nor the API's description."""
    led: set[str] = set()
    for name in matrix():
        for ingress in of_kind(rendered_matrix(name), "Ingress").values():
            led |= {path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
        for route in of_kind(rendered_matrix(name), "HTTPRoute").values():
            led |= {match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]}
    assert led == {"/v1", "/livekit", "/webhooks", "/api/webhooks"}


def test_spools_fit_into_the_pods_local_storage() -> None:
    for name in matrix():
        for deployment in of_kind(rendered_matrix(name), "Deployment").values():
            pod = pod_of(deployment) or {}
            limit = pod["containers"][0]["resources"]["limits"]["ephemeral-storage"]
            assert sum(_bytes(volume["emptyDir"]["sizeLimit"]) for volume in pod["volumes"]) <= _bytes(limit)


def test_migrations_run_before_installations_and_upgrades_and_not_before_rollbacks() -> None:
    for name in matrix():
        for job, manifest in of_kind(rendered_matrix(name), "Job").items():
            hooks = manifest["metadata"]["annotations"]["helm.sh/hook"]
            assert hooks == ("pre-install,pre-upgrade" if job.endswith("-migrate") else "test")


def _bytes(quantity: str | int) -> int:
    text = str(quantity)
    return int(text.removesuffix("Mi")) * (1024 * 1024 if text.endswith("Mi") else 1)
