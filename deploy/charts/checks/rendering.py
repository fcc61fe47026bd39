"""Charts rendered by Helm, as Python values. Owns how Helm is called, and nothing that is expected of what it renders."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from deploy.charts.checks.layout import CHARTS, MATRIX, TOOLS, UMBRELLA
from deploy.charts.checks.leaving_out import leave_out

Manifest = dict[str, Any]

RELEASE: Final = "meetai"
NAMESPACE: Final = "meetings"
HELM_SECONDS: Final = 60
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
APIS: Final = ("monitoring.coreos.com/v1", "keda.sh/v1alpha1", "gateway.networking.k8s.io/v1")


class HelmRefusedError(Exception):
    """Helm ended with an error; the message is its own."""


def matrix() -> list[str]:
    """Names of the values that are tried."""
    return sorted(path.stem for path in MATRIX.glob("*.yaml"))


def tool(name: str) -> Path:
    """A tool of `make charts-tools`; the test that asks is skipped where it isn't there, and fails where nothing may be left out."""
    path = TOOLS / name
    if not path.exists():
        leave_out(f"{name} isn't there: make charts-tools")
    return path


def helm(*arguments: str | Path, seconds: float = HELM_SECONDS, env: Mapping[str, str] | None = None) -> str:
    """Run Helm; returns what it printed.

    Raises:
        HelmRefusedError: it ended with an error.
    """
    command = [tool("helm"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=env, check=False)
    if ended.returncode:
        raise HelmRefusedError(ended.stderr)
    return ended.stdout


def render(chart: str, values: Mapping[str, Any] | None = None, *, files: Sequence[Path] = ()) -> list[Manifest]:
    """All that a chart makes of values, hooks and tests too.

    Raises:
        HelmRefusedError: Helm won't make anything of them.
    """
    more = ["--set-json=" + f"{key}={json.dumps(value)}" for key, value in (values or {}).items()]
    named = [f"--values={path}" for path in files]
    apis = [f"--api-versions={api}" for api in APIS]
    rendered = helm("template", RELEASE, CHARTS / chart, "--namespace", NAMESPACE, *apis, *named, *more)
    return [manifest for manifest in yaml.load_all(rendered, Loader=LOADER) if manifest]


@functools.cache
def rendered_matrix(name: str) -> list[Manifest]:
    """What the umbrella makes of one of the values that are tried."""
    return render(UMBRELLA, files=[MATRIX / f"{name}.yaml"])


def pod_of(manifest: Manifest) -> Manifest | None:
    """The pod's spec in a workload; None in anything else."""
    template = manifest.get("spec", {}).get("template")
    return template["spec"] if isinstance(template, dict) and "spec" in template else None


def of_kind(manifests: Iterable[Manifest], kind: str) -> dict[str, Manifest]:
    """The manifests of a kind, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}
