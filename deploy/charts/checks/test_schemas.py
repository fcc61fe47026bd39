"""Is all that is rendered what Kubernetes and the operators take: field by field, unknown ones refused, in three versions."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import kubernetes_validate.utils
import pytest
import yaml
from deploy.charts.checks.layout import ROOT
from deploy.charts.checks.leaving_out import leave_out
from deploy.charts.checks.rendering import LOADER, Manifest, matrix, rendered_matrix

VERSIONS: Final = ("1.30", "1.34", "1.37")
"""The oldest that the charts ask for (`kubeVersion`), one between, and the newest."""

CRDS: Final = Path(os.environ.get("MEETAI_CRDS", ROOT.parent / "shared" / "crds"))
OPERATORS: Final = ("monitoring.coreos.com/", "keda.sh/", "gateway.networking.k8s.io/")


def resources(*, of_operators: bool) -> Iterator[Manifest]:
    """Each different manifest that is rendered under any of the values, once."""
    seen: set[str] = set()
    for name in matrix():
        for manifest in rendered_matrix(name):
            text = json.dumps(manifest, sort_keys=True)
            if text not in seen and manifest["apiVersion"].startswith(OPERATORS) == of_operators:
                seen.add(text)
                yield manifest


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid_in_this_version(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # It reads a megabyte of definitions anew for each manifest.
    monkeypatch.setattr(
        kubernetes_validate.utils, "schema_contents", functools.cache(kubernetes_validate.utils.schema_contents)
    )
    checked = [
        kubernetes_validate.validate(manifest, version, strict=True) for manifest in resources(of_operators=False)
    ]
    assert set(checked) == {version}
    assert len(checked) > 50


def test_schemas_refuse_an_unknown_field() -> None:
    """Else the test above would show nothing."""
    manifest = next(resources(of_operators=False)) | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[0], strict=True)


def test_operators_resources_are_valid() -> None:
    """By the schemas in their own CRDs: KEDA's, the Prometheus operator's and Gateway API's."""
    schemas = operators_schemas()
    checked = set()
    for manifest in resources(of_operators=True):
        jsonschema.validate(manifest, schemas[manifest["apiVersion"], manifest["kind"]])
        checked.add(manifest["kind"])
    assert checked >= {"HTTPRoute", "PrometheusRule", "ScaledObject", "ServiceMonitor"}


@functools.cache
def operators_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """Each CRD's schemas by version and kind, with unknown fields refused as the API server does under `--validate=strict`."""
    if not CRDS.is_dir():
        leave_out(f"no CRDs at {CRDS.name}")
    schemas = {}
    for path in CRDS.glob("*.yaml"):
        spec = yaml.load(path.read_text(), Loader=LOADER)["spec"]
        for version in spec["versions"]:
            key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            schemas[key] = _closed(version["schema"]["openAPIV3Schema"])
            schemas[key]["properties"]["metadata"] = {"type": "object"}
    return schemas


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: _closed(value) for key, value in schema.items()}
    if str(schema.get("pattern", "")).startswith("^(?i)"):  # Go's spelling; Python wants it first
        del closed["pattern"]
    is_object = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if is_object and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
