"""What the comments in values.yaml say: `# -- …` above a key, as helm-docs reads it, and the README that is made of them.

Done here rather than by helm-docs itself, so that a README can be written, and held fresh, with nothing but Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

LINE: Final = re.compile(r"^(?P<indent> *)(?:# -- (?P<text>.*)|(?P<key>[\w-]+):)")
README: Final = """\
# {name}

{description}.

How to install, and what has to be there before: [deploy/docs/kubernetes.md](../../docs/kubernetes.md). A wrong key or type is
refused by its name. What two services must agree on is `global`; the rest is a service's own{nested}.

| value | default | |
|---|---|---|
{rows}

Made of `values.yaml` by `make charts-write`.
"""
NESTED: Final = (
    ", and goes under its name here, as in `token.replicas`: see [token](../token), [webhook-bridge](../webhook-bridge), \
[transcript-ingest](../transcript-ingest), [agent](../agent)"
)


class Value(Struct, frozen=True):
    """A value that is described.

    Attributes:
        path: Keys from the top, `("image", "tag")`.
        text: Its description.
        default: As in values.yaml.
    """

    path: tuple[str, ...]
    text: str
    default: Any


def described_values(file: Path) -> Iterator[Value]:
    """Every key with a description, in the file's order."""
    values = yaml.safe_load(file.read_text())
    keys: list[tuple[int, str]] = []
    text = ""
    for line in file.read_text().splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        if match["key"] is None:
            text = match["text"]
            continue
        indent = len(match["indent"])
        keys = [*((depth, key) for depth, key in keys if depth < indent), (indent, match["key"])]
        if text:
            path = tuple(key for _, key in keys)
            yield Value(path, text, _at(values, path))
        text = ""


def undescribed_values(file: Path) -> Iterator[str]:
    """Every key that neither has a description nor holds others that have one, nor is part of one that has."""
    described = {value.path for value in described_values(file)}

    def look(values: Any, path: tuple[str, ...]) -> Iterator[str]:
        if path in described:
            return
        if not isinstance(values, dict) or not values:
            yield ".".join(path)
            return
        for key, value in values.items():
            yield from look(value, (*path, key))

    yield from look(yaml.safe_load(file.read_text()), ())


def readme(folder: Path, *, is_umbrella: bool) -> str:
    """The README of the chart in a folder."""
    chart = yaml.safe_load((folder / "Chart.yaml").read_text())
    rows = [
        f"| `{'.'.join(value.path)}` | {_cell(_code(value.default))} | {_cell(value.text)} |"
        for value in described_values(folder / "values.yaml")
    ]
    return README.format(
        name=chart["name"],
        description=chart["description"].rstrip("."),
        nested=NESTED if is_umbrella else "",
        rows="\n".join(rows),
    )


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _code(default: Any) -> str:
    return "" if default in ("", None, [], {}) else f"`{json.dumps(default, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
