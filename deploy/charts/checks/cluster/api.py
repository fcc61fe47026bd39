"""A Kubernetes API server, asked directly: kubectl's version is the machine's, and an old one doesn't know `--validate=strict`.

Owns requests and waiting. Knows nothing of the charts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx
import yaml
from deploy.charts.checks.rendering import Manifest

T = TypeVar("T")

DEADLINE_SECONDS: Final = 120.0
"""For anything that controllers do; simulated pods are ready within a second, on a machine that has nothing else to do."""
OF_EVERY_NAMESPACE: Final = {("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt")}
NOT_COUNTED: Final = {"events", "leases", "endpoints"}


class Cluster:
    """An API server and the credential of its kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig, encoding="utf-8") as file:  # noqa: PTH123 - a path from a tool's output
            config = yaml.safe_load(file)
        self.kubeconfig = kubeconfig
        self._client = httpx.Client(
            base_url=config["clusters"][0]["cluster"]["server"],
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            verify=False,  # the certificate is the server's own, on this machine
            timeout=30,
        )
        self._plurals: dict[tuple[str, str], str] = {}

    def request(self, method: str, path: str, body: Any = None, **parameters: str) -> httpx.Response:
        """Any request; a PATCH is a merge."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return self._client.request(method, path, json=body, params=parameters, headers={"Content-Type": kind})

    def get(self, path: str) -> Any:
        """What is at a path."""
        answer = self.request("GET", path)
        answer.raise_for_status()
        return answer.json()

    def items(self, path: str) -> list[Manifest]:
        """A list's items."""
        found: list[Manifest] = self.get(path)["items"]
        return found

    def refusal(self, manifest: Manifest, namespace: str) -> str | None:
        """Why the server wouldn't create this, or of what it warns; None when it would. Nothing is created."""
        path = f"{_root(manifest['apiVersion'])}/namespaces/{namespace}/{self._plural(manifest)}"
        answer = self.request("POST", path, manifest, dryRun="All", fieldValidation="Strict")
        if answer.is_success:
            warning: str | None = answer.headers.get("Warning")
            return warning
        return str(answer.json()["message"])

    def left_in(self, namespace: str) -> list[str]:
        """All that is in a namespace and wouldn't be in an empty one."""
        versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in self.get("/apis")["groups"])]
        left: list[tuple[str, str]] = []
        for version in versions:
            for resource in self.get(_root(version))["resources"]:
                name = resource["name"]
                if not resource["namespaced"] or "list" not in resource["verbs"] or name in NOT_COUNTED:
                    continue
                items = self.items(f"{_root(version)}/namespaces/{namespace}/{name}")
                left += [(name, item["metadata"]["name"]) for item in items]
        return [f"{name}/{item}" for name, item in left if (name, item) not in OF_EVERY_NAMESPACE]

    def _plural(self, manifest: Manifest) -> str:
        key = manifest["apiVersion"], manifest["kind"]
        if key not in self._plurals:
            for resource in self.get(_root(key[0]))["resources"]:
                if "/" not in resource["name"]:
                    self._plurals[key[0], resource["kind"]] = resource["name"]
        return self._plurals[key]


def wait_until(found: Callable[[], T], what: str) -> T:
    """The first true answer.

    Raises:
        TimeoutError: none came.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        if answer := found():
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {DEADLINE_SECONDS:g} s: {what}")
        time.sleep(0.2)


def _root(version: str) -> str:
    return f"/api/{version}" if "/" not in version else f"/apis/{version}"
