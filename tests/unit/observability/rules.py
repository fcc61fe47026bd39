"""The rule files and dashboards, as Prometheus and Grafana read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
OBSERVABILITY = ROOT / "deploy" / "observability"
RULES = OBSERVABILITY / "rules"
RUNBOOKS = ROOT / "deploy" / "docs" / "runbooks"
NAME = re.compile(r"\bmeetai[a-z0-9_:]*[a-z0-9]\b")


def rules() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every rule, with the file that it is in."""
    for path in sorted(RULES.glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path, rule


def alerts() -> list[dict[str, Any]]:
    return [rule for _, rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    return {rule["record"] for _, rule in rules() if "record" in rule}


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of a rule or of a dashboard, and where it is."""
    for path, rule in rules():
        yield f"{path.name}: {rule.get('alert') or rule['record']}", rule["expr"]
    for path in sorted((OBSERVABILITY / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}: {panel['title']}", target["expr"]
