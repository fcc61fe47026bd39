"""The contracts, from the Structs themselves: every message, its fields, their types and units. Owns only how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final, get_args

import msgspec
from deploy.docs.site.described import fields_described, in_words, meta_description, summary_of
from deploy.docs.site.markdown import table
from deploy.docs.site.page import Page
from msgspec import UNSET, Struct

from meetai_contracts.schema import MESSAGES, schema_of

_TOP: Final = """# Contracts

Every message that crosses a process boundary, as its library (`libs/contracts`) declares it. JSON is camelCase; a reader ignores fields
that it doesn't know, except in a token request. A contract gains fields at its end and nothing else; a change beyond that is a new `v`.
Those marked *array* are MessagePack arrays, their fields in this order. Times that end in `Ms` or `_ms` are Unix milliseconds; others are
ISO 8601.

This page is written from the Structs when the site is built; under each message is its JSON Schema.
"""


def page(place: PurePosixPath) -> Page:
    """The page."""
    shown = list(_with_parts())
    links = {each: f"#{each.__name__.lower()}" for each in shown}
    return Page(place, _TOP + "".join(_section(each, links) for each in shown))


def _with_parts() -> Iterator[type[Struct]]:
    """The messages, each followed by what it is made of; each once."""
    seen: set[type[Struct]] = set()
    for message in MESSAGES:
        waiting = [message]
        while waiting:
            struct = waiting.pop(0)
            if struct in seen:
                continue
            seen.add(struct)
            yield struct
            waiting += [part for field in msgspec.structs.fields(struct) for part in _structs_in(field.type)]


def _section(struct: type[Struct], links: dict[type, str]) -> str:
    array = " *array*" if struct.__struct_config__.array_like else ""
    described = fields_described(struct)
    rows = [
        [
            f"`{field.encode_name}`",
            in_words(field.type, links),
            _presence(field),
            described.get(field.name) or meta_description(field.type),
        ]
        for field in msgspec.structs.fields(struct)
    ]
    text = f"\n## {struct.__name__}\n\n{summary_of(struct)}{array}\n\n"
    text += table(["Field", "Value", "Default", "Meaning"], rows)
    if struct in MESSAGES:
        schema = schema_of(struct).decode()
        text += f'\n<details markdown="1"><summary>JSON Schema</summary>\n\n```json\n{schema}```\n\n</details>\n'
    return text


def _presence(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value: Any = field.default
    if value is UNSET or value is None or value is msgspec.NODEFAULT:
        return "absent"
    return f"`{msgspec.json.encode(value).decode()}`"


def _structs_in(annotation: Any) -> list[type[Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return [annotation]
    return [found for each in get_args(annotation) for found in _structs_in(each)]
