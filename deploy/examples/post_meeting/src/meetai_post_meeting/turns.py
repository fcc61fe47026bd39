"""A transcript as people read it: what one person says without a break is one turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_contracts.transcript import SpeakerKind

MAX_PAUSE_MS: Final = 60_000
"""A turn ends where its speaker says nothing for so long, so that notes have times worth the name."""
MAX_TURN_CHARACTERS: Final = 2_000
UNKNOWN: Final = "Unknown speaker"
"""Who has neither a name nor an identity that can be seen."""


class Turn(Struct, frozen=True):
    """One turn. `speaker` is the display name, or the identity where there is none, and never blank; times are Unix milliseconds."""

    identity: str
    speaker: str
    kind: SpeakerKind
    text: str
    started_ms: int
    ended_ms: int


def merge(lines: Iterable[StoredLine]) -> tuple[Turn, ...]:
    """Join consecutive lines of a speaker, in the order in which they come."""
    turns: list[Turn] = []
    for line in lines:
        last = turns[-1] if turns else None
        if (
            last is not None
            and last.identity == line.speaker.identity
            and line.started_ms - last.ended_ms <= MAX_PAUSE_MS
            and len(last.text) + len(line.text) < MAX_TURN_CHARACTERS
        ):
            turns[-1] = Turn(
                last.identity,
                last.speaker,
                last.kind,
                f"{last.text} {line.text.strip()}",
                last.started_ms,
                max(last.ended_ms, line.ended_ms),
            )
            continue
        name = line.speaker.name.strip() or line.speaker.identity.strip() or UNKNOWN
        turns.append(
            Turn(line.speaker.identity, name, line.speaker.kind, line.text.strip(), line.started_ms, line.ended_ms)
        )
    return tuple(turns)


def people(turns: Sequence[Turn]) -> tuple[str, ...]:
    """Everybody who spoke and isn't an agent, by name, those who spoke first first."""
    return tuple(dict.fromkeys(turn.speaker for turn in turns if turn.kind == "human"))
