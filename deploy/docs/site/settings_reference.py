"""The configuration reference, from the settings classes themselves. Owns nothing about a setting but how it is shown."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from deploy.docs.site.described import fields_described, in_words, meta_description
from deploy.docs.site.markdown import table
from deploy.docs.site.page import Page
from msgspec import NODEFAULT, Struct

from meetai_agent.settings import AgentSettings
from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import MoreKeys, Secret, SigningSecret, StoreUrl
from meetai_servicekit.settings import HttpSettings, InngestDev, ParsesSetting
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest.settings import DatabaseSettings, IngestSettings
from meetai_webhook_bridge.settings import BridgeSettings, MigrationSettings

SERVICES: Final[dict[str, type[Struct]]] = {
    "token": TokenSettings,
    "agent": AgentSettings,
    "transcript-ingest": IngestSettings,
    "webhook-bridge": BridgeSettings,
}
COMMANDS: Final[dict[str, type[Struct]]] = {
    "transcript-ingest: `migrate`, `dead-letters`": DatabaseSettings,
    "webhook-bridge: `migrate`, `events`": MigrationSettings,
}
_PARSED: Final[dict[type, str]] = {
    Secret: "text",
    SigningSecret: "text, at least 32 characters",
    ServiceKeys: "`name:sha256-hex:scope+scope`, several separated by commas",
    MoreKeys: "`key:secret`, several separated by commas",
    InngestDev: "1, 0 or a URL",
}
_TOP: Final = """# Configuration

Every setting is an environment variable. A service names all that are missing or wrong at once and ends with exit code 2 before it starts
anything; a variable that is empty counts as absent. **Secret** ones belong in a secret store, and are shown in no log or error.

This page is written from the settings classes when the site is built.
"""


def page() -> Page:
    """The page."""
    parts = [_TOP]
    for name, settings in {**SERVICES, **COMMANDS}.items():
        parts.append(f"\n## {name}\n\n{_table(settings)}")
    return Page(PurePosixPath("reference/configuration.md"), "".join(parts))


def description_of(settings: type[Struct], name: str) -> str:
    """What a setting means: its annotation's words, then its class's; "" where neither says it."""
    field = next(each for each in msgspec.structs.fields(settings) if each.name == name)
    said = [meta_description(field.type)]
    said += [fields_described(each).get(name, "") for each in (settings, HttpSettings)]
    return " ".join(dict.fromkeys(each if each.endswith((".", "…")) else f"{each}." for each in said if each))


def is_secret(annotation: Any) -> bool:
    """Whether the value must not be shown."""
    return any(issubclass(part, (Secret, MoreKeys)) for part in _types_in(annotation))


def _table(settings: type[Struct]) -> str:
    rows: list[list[str]] = []
    for field in sorted(msgspec.structs.fields(settings), key=lambda each: (not each.required, each.name)):
        meaning = description_of(settings, field.name)
        marked = f"**Secret.** {meaning}" if is_secret(field.type) else meaning
        rows.append([f"`{field.name.upper()}`", _type(field.type), _default(field), marked])
    return table(["Variable", "Value", "Default", "Meaning"], rows)


def _type(annotation: Any) -> str:
    for part in _types_in(annotation):
        if part in _PARSED:
            return _PARSED[part]
        if issubclass(part, StoreUrl):
            return " or ".join(f"`{scheme}://…`" for scheme in part.schemes)
        if issubclass(part, ParsesSetting):
            raise TypeError(f"{part.__name__} has no words in {__name__}")
    plain = in_words(annotation).removesuffix(" or null")
    return f"{plain.removeprefix('list of ')}; several separated by commas" if plain.startswith("list of ") else plain


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default if field.default is not NODEFAULT else field.default_factory()
    if value is None or value in ((), ""):
        return ""
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _types_in(annotation: Any) -> list[type]:
    if get_origin(annotation) is Annotated:
        return _types_in(get_args(annotation)[0])
    if arguments := get_args(annotation):
        return [found for each in arguments if each is not Ellipsis for found in _types_in(each)]
    return [annotation] if isinstance(annotation, type) else []
