"""`values.schema.json` of each chart: types from the defaults in values.yaml, bounds of `config` from the service's settings class.

Owns what is a free-form map and what is a choice. A key that values.yaml doesn't have is refused by name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import yaml
from deploy.charts.checks.layout import CHARTS, LIBRARY, NOT_IN_CONFIG, SERVICES, SETTINGS, UMBRELLA
from msgspec import Struct

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string", "minLength": 1}}
TEXT_MAP: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
LABELS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {
        "type": "string",
        "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "maxLength": 63,
    },
}
ANY_MAP: Final[Schema] = {"type": "object"}
MAPS: Final[Schema] = {"type": "array", "items": {"type": "object"}}
COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
NAME: Final[Schema] = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
KEY: Final[Schema] = {"type": "string", "pattern": "^[-._a-zA-Z0-9]*$", "maxLength": 253}
IMAGE: Final[Schema] = {"type": "string", "pattern": "^[-a-zA-Z0-9._/:]*$"}
TAG: Final[Schema] = {"type": "string", "pattern": "^([a-zA-Z0-9_][-a-zA-Z0-9._]*)?$", "maxLength": 128}
HOST: Final[Schema] = {"type": "string", "pattern": r"^((\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
QUANTITY: Final[Schema] = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|[MGT]i?)?$"},
    ]
}
QUANTITIES: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"cpu": QUANTITY, "memory": QUANTITY, "ephemeral-storage": QUANTITY},
    "patternProperties": {"/": QUANTITY},  # a device plugin's, as in `nvidia.com/gpu`
}
URL: Final[Schema] = {"type": "string", "pattern": r"^(https?://[^/?#\s]+.*)?$"}
LIVEKIT_URL: Final[Schema] = {"type": "string", "pattern": r"^((wss?|https?)://[^/?#\s]+.*)?$"}
PORTS: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["port"],
        "properties": {
            "protocol": {"enum": ["TCP", "UDP", "SCTP"]},
            "port": {"type": "integer", "minimum": 1, "maximum": 65_535},
            "endPort": {"type": "integer", "minimum": 1, "maximum": 65_535},
        },
    },
}

BY_NAME: Final[dict[str, Schema]] = {
    "annotations": TEXT_MAP,
    "labels": LABELS,
    "dashboardLabels": LABELS,
    "nodeSelector": LABELS,
    "affinity": ANY_MAP,
    "timeouts": TEXT_MAP,
    "requests": QUANTITIES,
    "limits": QUANTITIES,
    "tolerations": MAPS,
    "parentRefs": MAPS,
    "callers": MAPS,
    "ingressControllers": MAPS,
    "to": MAPS,
    "ports": PORTS,
    "pullSecrets": TEXTS,
    "existingSecret": NAME,
    "tlsSecret": NAME,
    "key": KEY,
    "apiKey": KEY,
    "apiSecret": KEY,
    "nextApiKey": KEY,
    "nextApiSecret": KEY,
    "eventKey": KEY,
    "signingKey": KEY,
    "openaiApiKey": KEY,
    "deepgramApiKey": KEY,
    "className": NAME,
    "priorityClassName": NAME,
    "registry": IMAGE,
    "repository": IMAGE,
    "tag": TAG,
    "host": HOST,
    "hostnames": {"type": "array", "items": HOST},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "logLevel": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    "spread": {"enum": ["ScheduleAnyway", "DoNotSchedule"]},
    "interval": {"type": "string", "pattern": "^[1-9][0-9]*(s|m)$"},
    "prometheusUrl": URL,
    "otlpEndpoint": URL,
    "runbooksUrl": {"type": "string", "pattern": r"^(https?://[^/?#\s]+[^?#\s]*)?$"},
    "url": LIVEKIT_URL,
    "publicUrl": LIVEKIT_URL,
    "agentName": {"type": "string", "minLength": 1, "maxLength": 64},
    "replicas": {"type": "integer", "minimum": 0},
    "transcriptStreamShards": {"type": "integer", "minimum": 1, "maximum": 256},
    "maxUnavailable": {"anyOf": [COUNT, {"type": "string", "pattern": "^[1-9][0-9]?%$"}]},
    "minReplicas": COUNT,
    "maxReplicas": COUNT,
    "cpuPercent": {"type": "integer", "minimum": 1, "maximum": 100},
    "loadPercent": {"type": "integer", "minimum": 1, "maximum": 100},
    "lagEntries": COUNT,
    "attempts": {"type": "integer", "minimum": 0, "maximum": 20},
    "deadlineSeconds": {"type": "integer", "minimum": 10},
    "terminationGracePeriodSeconds": {"type": ["integer", "null"], "minimum": 1},
}
"""What a key of this name takes, wherever it stands."""

SCALING: Final = {
    "token": ["none", "cpu"],
    "webhook-bridge": ["none", "cpu"],
    "transcript-ingest": ["none", "cpu", "keda"],
    "agent": ["none", "keda"],
}
"""What `autoscaling.type` can be."""


def schema_of(chart: str) -> Schema:
    """The schema of a chart's values."""
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    values.pop("config", None)
    schema = _of_map(values)
    properties = schema["properties"]
    properties[LIBRARY] = ANY_MAP  # Helm's own: a place for the library's values, of which there are none
    if chart == UMBRELLA:
        for service in SERVICES:  # held by the service's own schema
            properties[service] = {"type": "object", "properties": {"enabled": {"type": "boolean"}}}
    else:
        properties["config"] = config_schema(SETTINGS[chart])
        properties["autoscaling"]["properties"]["type"] = {"enum": SCALING[chart]}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"Values of {chart}", **schema}


def config_schema(settings: type[Struct]) -> Schema:
    """What `config` takes: the plain fields of the settings class, in camelCase, within the same bounds. Empty is absent."""
    properties = {
        camel(field.name): _or_empty(_of_type(field.type))
        for field in msgspec.structs.fields(settings)
        if field.name not in NOT_IN_CONFIG
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _of_map(values: dict[str, Any]) -> Schema:
    properties = {key: _of_value(key, value) for key, value in values.items()}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _of_value(key: str, value: Any) -> Schema:
    if key == "monitoring" and isinstance(value, list):
        return MAPS
    if key in BY_NAME:
        return BY_NAME[key]
    match value:
        case dict():
            return _of_map(value)
        case bool():
            return {"type": "boolean"}
        case str():
            return TEXT
    raise TypeError(f"{key}: say in schemas.py what it takes")


def _of_type(annotation: Any) -> Schema:
    try:
        schema: Schema = msgspec.json.schema(annotation)
    except TypeError:
        schema = {}
    (schema,) = [part for part in schema.get("anyOf", [schema]) if part != {"type": "null"}]
    plain = {key: value for key, value in schema.items() if key not in {"description", "title"}}
    return plain or dict(TEXT)  # msgspec knows nothing of a type of ours, which reads itself from text


def _or_empty(schema: Schema) -> Schema:
    if schema["type"] == "string" and "pattern" in schema:
        return {**schema, "pattern": f"^$|{schema['pattern']}"}
    if schema["type"] == "string":
        return {key: value for key, value in schema.items() if key != "minLength"}
    return {**schema, "type": [schema["type"], "null"]}


def camel(name: str) -> str:
    """The key in `config` of a setting: `token_ttl_seconds` is `tokenTtlSeconds`."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
