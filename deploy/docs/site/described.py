"""What annotations and docstrings say of a field, in words. Owns how a type is written; must not know any particular Struct."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from msgspec import Meta, Struct, UnsetType

_ALTERNATIVES: Final = re.compile(r"^\^\(([A-Za-z|]+)\)\$$")
_NAMED: Final = re.compile(r"^(\w+(?:, \w+)*): (.*)$")
_PLAIN: Final[Mapping[Any, str]] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    UUID: "UUID",
    datetime: "time (ISO 8601)",
    date: "date",
    Any: "any",
    bytes: "bytes",
}


def summary_of(documented: type) -> str:
    """What a class promises: its docstring without the sections on its fields, one paragraph a blank line."""
    lines: list[str] = []
    for line in _lines(documented):
        if line.strip() in {"Attributes:", "Raises:", "Args:"}:
            break
        lines.append(line)
    return "\n".join(lines).strip()


def fields_described(documented: type) -> dict[str, str]:
    """What a class's `Attributes:` section says of each field. `a, b: …` says it of both."""
    described: dict[str, str] = {}
    names: list[str] = []
    within = False
    for line in _lines(documented):
        if line.strip() == "Attributes:":
            within = True
        elif within and line and not line.startswith(" "):
            break
        elif within and (found := _NAMED.match(line.strip())) and len(line) - len(line.lstrip()) == 4:
            names = found[1].split(", ")
            described.update(dict.fromkeys(names, found[2]))
        elif within and line.strip():
            described.update({name: f"{described[name]} {line.strip()}" for name in names})
    return described


def meta_description(annotation: Any) -> str:
    """The description within an annotation, wherever it stands; "" for none."""
    if get_origin(annotation) is Annotated:
        for part in annotation.__metadata__:
            if isinstance(part, Meta) and part.description:
                return part.description
        return ""
    if get_origin(annotation) in {Union, types.UnionType}:
        return next((found for part in get_args(annotation) if (found := meta_description(part))), "")
    return ""


def in_words(annotation: Any, links: Mapping[type, str] | None = None) -> str:
    """A type: `text, at most 64 characters`; a Struct by its name, linked where `links` knows it."""
    known = links or {}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return in_words(arguments[0], known) + _limits(annotation.__metadata__)
    if origin in {Union, types.UnionType}:
        return _union([each for each in arguments if each is not UnsetType], known)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin in {tuple, list}:
        return f"list of {in_words(arguments[0], known)}"
    if origin in {dict, Mapping}:
        return f"object of {in_words(arguments[1], known)} by {in_words(arguments[0], known)}"
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        link = known.get(annotation)
        return f"[{annotation.__name__}]({link})" if link else f"`{annotation.__name__}`"
    return _PLAIN.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _union(parts: list[Any], known: Mapping[type, str]) -> str:
    words = [in_words(each, known) for each in parts if each is not type(None)]
    return " or ".join([*words, *(["null"] if type(None) in parts else [])])


def _limits(metadata: tuple[Any, ...]) -> str:
    said: list[str] = []
    for meta in (each for each in metadata if isinstance(each, Meta)):
        if meta.ge is not None and meta.le is not None:
            said.append(f"{meta.ge:,} to {meta.le:,}")
        elif meta.ge is not None:
            said.append(f"at least {meta.ge:,}")
        elif meta.le is not None:
            said.append(f"at most {meta.le:,}")
        if meta.max_length is not None:
            said.append(f"at most {meta.max_length:,} long")
        if meta.min_length is not None and meta.min_length > 1:
            said.append(f"at least {meta.min_length:,} long")
        if meta.pattern:
            said.append(_form(meta.pattern))
    return "".join(f", {each}" for each in said)


def _form(pattern: str) -> str:
    found = _ALTERNATIVES.match(pattern)
    return ", ".join(f"`{each}`" for each in found[1].split("|")) if found else f"of the form `{pattern}`"


def _lines(documented: type) -> list[str]:
    first, _, rest = (documented.__doc__ or "").partition("\n")
    return [first, *(line.removeprefix("    ") for line in rest.splitlines())]
