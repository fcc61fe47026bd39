"""Each service's HTTP API, from its OpenAPI document. Owns how operations and bodies are shown; the document is the service's own.

Markdown instead of a viewer in the browser: it can be searched, read without a script and from a disk (ADR 0095).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from deploy.docs.site.markdown import table
from deploy.docs.site.page import Page
from prometheus_client import CollectorRegistry

from meetai_agent.http import create_http
from meetai_servicekit.background import ProcessFate
from meetai_servicekit.http import HttpService
from meetai_servicekit.settings import load
from meetai_token import app as token
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest import app as ingest
from meetai_transcript_ingest.settings import IngestSettings
from meetai_webhook_bridge import app as bridge
from meetai_webhook_bridge.settings import BridgeSettings

Document = Mapping[str, Any]

_NOWHERE: Final = {
    "LIVEKIT_URL": "ws://livekit.invalid",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "0" * 32,
    "SERVICE_KEYS": f"docs:{'0' * 64}:docs:read",
    "DATABASE_URL": "postgresql://postgres.invalid/meetai",
    "REDIS_URL": "redis://redis.invalid",
    "INNGEST_DEV": "1",
}
"""An application opens nothing before it starts up; these are never asked."""
NAMES: Final = ("token", "transcript-ingest", "webhook-bridge", "agent")
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_OF_THE_PLATFORM: Final = frozenset({"/livez", "/readyz", "/metrics"})


def pages() -> list[Page]:
    """One page a service."""
    return [
        Page(PurePosixPath("reference", f"http-{name}.md"), _page(name, document)) for name, document in documents()
    ]


def documents() -> Iterator[tuple[str, Document]]:
    """Each service's name and its OpenAPI document."""
    apps = (
        token.create_app(load(TokenSettings, _NOWHERE)),
        ingest.create_app(load(IngestSettings, _NOWHERE), ProcessFate())[0],
        bridge.create_app(load(BridgeSettings, _NOWHERE), ProcessFate()),
        create_http(readiness={}, registry=CollectorRegistry(), lifespan=[]),
    )
    yield from ((name, _document(app)) for name, app in zip(NAMES, apps, strict=True))


def _document(app: HttpService) -> Document:
    return app.openapi_schema.to_schema()


def _page(name: str, document: Document) -> str:
    parts = [
        f"# HTTP: {name}\n\nFrom the OpenAPI document that the running service gives at `/schema`, written when the site is built.\n"
    ]
    operations = [
        (path, method, item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    own = [each for each in operations if each[0] not in _OF_THE_PLATFORM]
    parts += [_operation(*each) for each in own]
    parts.append(
        "\n## Of the platform\n\n`GET /livez`, `/readyz`, `/metrics` (Prometheus) and `/schema`, on the same port.\n"
    )
    schemas = document.get("components", {}).get("schemas", {})
    bodies = {title: schema for title, schema in schemas.items() if title != "Health"}
    if own and bodies:
        parts.append("\n## Bodies\n")
        parts += [_body(title, schema) for title, schema in sorted(bodies.items())]
    return "".join(parts)


def _operation(path: str, method: str, operation: Document) -> str:
    text = f"\n## {method.upper()} {path}\n\n**{_sentence(operation.get('summary', ''))}** {operation.get('description', '')}\n"
    if parameters := operation.get("parameters"):
        rows = [
            [
                f"`{each['name']}`",
                each["in"],
                _type(each.get("schema", {})),
                "yes" if each.get("required") else "",
                each.get("description", ""),
            ]
            for each in parameters
        ]
        text += "\n" + table(["Parameter", "In", "Value", "Required", "Meaning"], rows)
    if body := operation.get("requestBody"):
        text += f"\nBody: {_contents(body['content'])}\n"
    rows = [
        [status, response.get("description", ""), _contents(response.get("content", {}))]
        for status, response in sorted(operation["responses"].items())
    ]
    return text + "\n" + table(["Status", "When", "Body"], rows)


def _sentence(words: str) -> str:
    return words if words.endswith(("?", "!", ".")) else f"{words}."


def _body(title: str, schema: Document) -> str:
    required = schema.get("required", [])
    rows = [
        [f"`{name}`", _type(field), "yes" if name in required else "", field.get("description", "")]
        for name, field in schema.get("properties", {}).items()
    ]
    text = f"\n### {title}\n\n{schema.get('description', '')}\n\n"
    return text + (table(["Field", "Value", "Required", "Meaning"], rows) if rows else f"{_type(schema)}\n")


def _contents(content: Mapping[str, Document]) -> str:
    return ", ".join(f"{_type(each.get('schema', {}))} (`{media}`)" for media, each in content.items())


def _type(schema: Document) -> str:
    if reference := schema.get("$ref"):
        title = reference.rpartition("/")[2]
        return f"[{title}](#{title.lower()})"
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[key])) + _limits(schema)
    if "enum" in schema:
        return " or ".join("null" if each is None else f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{msgspec.json.encode(schema['const']).decode()}`"
    kinds = schema.get("type", "any")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if words == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if words == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return words + _limits(schema)


def _limits(schema: Document) -> str:
    said = [f"{schema['format']}"] if "format" in schema else []
    named = {"minimum": "at least", "maximum": "at most", "minLength": "at least … long", "maxLength": "at most … long"}
    for key, words in named.items():
        if key in schema:
            said.append(words.replace("…", f"{schema[key]:,.0f}") if "…" in words else f"{words} {schema[key]:,.0f}")
    if "default" in schema and schema["default"] not in (None, "", []):
        said.append(f"default `{msgspec.json.encode(schema['default']).decode()}`")
    return "".join(f", {each}" for each in said)
