"""Writes the Grafana dashboards: `.venv/bin/python -m deploy.observability.source`. A test holds the files against this."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.observability.source import agent, overview, token, transcript_ingest, webhook_bridge
from deploy.observability.source.panels import dashboard_json

FOLDER: Final = Path(__file__).parent.parent / "dashboards"


def dashboards() -> dict[str, str]:
    """Each file's name and content."""
    sections = {
        "overview": overview.SECTIONS,
        "agent": agent.SECTIONS,
        "token": token.SECTIONS,
        "webhook-bridge": webhook_bridge.SECTIONS,
        "transcript-ingest": transcript_ingest.SECTIONS,
    }
    return {
        f"meetai-{name}.json": dashboard_json(f"meetai-{name}", f"MeetAI: {name}", each)
        for name, each in sections.items()
    }


if __name__ == "__main__":
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
