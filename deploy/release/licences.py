"""Under which licences what we ship with is, and which we don't ship with.

A package's licence is what its metadata says; where that says nothing, `licences.toml` does, and why one that the policy forbids
is let through.
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

FORBIDDEN: Final = re.compile(
    r"(?<!L)(?<!Lesser )\b(?:A|Affero )?GPL|GNU (?:Affero )?General Public|SSPL|BUSL|Commons Clause|Proprietary",
    re.IGNORECASE,
)
"""Licences that would bind who uses us, or that aren't free. LGPL and MPL bind changes of the package itself."""
_HERE: Final = Path(__file__).parent


class _Stated(msgspec.Struct, forbid_unknown_fields=True):
    """What we say about a package.

    Attributes:
        licence: Where its metadata says none, or not the whole.
        allowed: Why it may be there although the policy forbids its licence.
        elsewhere: Why it isn't installed here: another platform's.
    """

    licence: str = ""
    allowed: str = ""
    elsewhere: str = ""


def write_list(bills: Mapping[str, Mapping[str, Any]], file: Path) -> list[str]:
    """Write the list; returns a line for each package that may not be shipped, or whose licence nobody knows."""
    stated = msgspec.convert(tomllib.loads((_HERE / "licences.toml").read_text()), dict[str, _Stated])
    services: dict[tuple[str, str], list[str]] = {}
    for service, bill in bills.items():
        for part in bill["components"]:
            if not part["name"].startswith("meetai"):
                services.setdefault((part["name"], part["version"]), []).append(service)
    problems: list[str] = []
    lines = [
        "# Licences of what is shipped with\n",
        "| package | version | licence | with | note |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, version), used_by in sorted(services.items()):
        ours = stated.get(name, _Stated())
        licence = ours.licence or licence_of(name)
        problems += problems_of(name, licence, ours.allowed or ours.elsewhere)
        lines.append(
            f"| {name} | {version} | {licence or 'unknown'} | {', '.join(used_by)} | {ours.allowed or ours.elsewhere} |"
        )
    known = {name for name, _ in services}
    problems += [f"licences.toml: {name} isn't shipped any more" for name in sorted(set(stated) - known)]
    file.write_text("\n".join(lines) + "\n")
    return problems


def problems_of(name: str, licence: str, excuse: str) -> list[str]:
    """What the policy has against a package."""
    if excuse:
        return []
    if not licence:
        return [f"{name}: its licence isn't known; say it in deploy/release/licences.toml"]
    if FORBIDDEN.search(licence):
        return [f"{name}: {licence} may not be shipped (deploy/release/licences.py)"]
    return []


def licence_of(name: str) -> str:
    """What an installed package's metadata says; "" where it isn't installed or says nothing."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [each for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
    named = [each.rpartition(" :: ")[2] for each in classifiers if not each.endswith("OSI Approved")]
    stated = metadata.get_all("License", [""])
    return "; ".join(named) or stated[0].partition("\n")[0][:80]
