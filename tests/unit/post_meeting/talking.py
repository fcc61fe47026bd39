"""What was said in a meeting that these tests sum up."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from meetai_contracts.api import StoredLine
from meetai_contracts.transcript import CaptionSpeaker, SpeakerKind

PRODUCER = UUID("0199f5a0-7b1c-7d00-8a3e-5f2b9c4d1e60")
START_MS = 1_790_000_000_000
PEOPLE: dict[str, SpeakerKind] = {"Ann": "human", "Ben": "human", "Clara": "agent"}
SAID = (
    ("Ann", 0, "Good morning."),
    ("Ann", 2, "Let's talk about the new website launch."),
    ("Ben", 5, "The website launch is late. I will call the printers tomorrow."),
    ("Ann", 12, "We agreed to launch the website on Friday."),
    ("Ann", 16, "Ben, can you send the launch plan to everybody?"),
    ("Clara", 20, "I will note that the website launches on Friday."),
    ("Ben", 400, "One more thing about lunch."),
)


def line(seq: int, name: str, at_seconds: float, text: str) -> StoredLine:
    """A stored line that takes a second to say."""
    started_ms = START_MS + int(at_seconds * 1000)
    return StoredLine(
        id=f"{PRODUCER}:{seq}",
        producer_id=PRODUCER,
        seq=seq,
        speaker=CaptionSpeaker(name.lower(), name, PEOPLE.get(name, "human")),
        text=text,
        started_ms=started_ms,
        ended_ms=started_ms + 1_000,
        committed_at=datetime.fromtimestamp(started_ms / 1000 + 3, UTC),
    )


def lines() -> list[StoredLine]:
    """The whole meeting."""
    return [line(seq, name, at, text) for seq, (name, at, text) in enumerate(SAID, 1)]
