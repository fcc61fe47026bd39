"""A meeting that never took place: what was said, heard and stored, for tests that change one thing about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from meetai_contracts.api import Integrity, ProducerIntegrity, StoredLine
from meetai_contracts.events import RoomFinished
from meetai_contracts.transcript import CaptionSpeaker, LiveTranscript
from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.meeting import MeetingResult, Presence, Said
from meetai_local.demo.outcome import Outcome

MEETING = "demo-1"
PRODUCER = UUID("0199f000-0000-7000-8000-000000000001")
BEGAN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
BEGAN_MS = int(BEGAN.timestamp() * 1000)
WORDS = (
    ("maya", "Maya", "Good morning everyone, and thank you for joining."),
    ("robert", "Robert", "The design is finished and the customers like the new colors."),
    ("maya", "Maya", "Today we want to decide when the website should go live."),
    ("robert", "Robert", "The search page is slow, but we can make it faster."),
)


def said() -> tuple[Said, ...]:
    """Each line of WORDS, 3 s long, one every 4 s."""
    return tuple(
        Said(identity, name, text, started_ms=BEGAN_MS + 4000 * index, ended_ms=BEGAN_MS + 4000 * index + 3000)
        for index, (identity, name, text) in enumerate(WORDS)
    )


def stored() -> tuple[StoredLine, ...]:
    """The same as stored: committed 2 s after the caption."""
    return tuple(
        StoredLine(
            id=f"{PRODUCER}:{seq}",
            producer_id=PRODUCER,
            seq=seq,
            speaker=CaptionSpeaker(identity=utterance.identity, name=utterance.name, kind="human"),
            text=utterance.text,
            started_ms=utterance.started_ms,
            ended_ms=utterance.ended_ms,
            committed_at=datetime.fromtimestamp(utterance.ended_ms / 1000 + 3, UTC),
            language="en",
        )
        for seq, utterance in enumerate(said(), 1)
    )


def captions() -> tuple[HeardCaption, ...]:
    """The same as heard: 1 s after the end of each utterance."""
    return tuple(
        HeardCaption(
            arrived_ms=line.ended_ms + 1000,
            caption=LiveTranscript(
                v=1,
                segment=f"s{line.seq}",
                final=True,
                speaker=line.speaker,
                text=line.text,
                started_ms=line.started_ms,
                id=line.id,
                ended_ms=line.ended_ms,
                language=line.language,
            ),
        )
        for line in stored()
    )


def result() -> MeetingResult:
    """Everyone was there from 1 s before the first word to 20 s after it."""
    return MeetingResult(
        meeting_id=MEETING,
        started_ms=BEGAN_MS,
        said=said(),
        captions=captions(),
        unreadable_captions=0,
        presences=tuple(
            Presence(identity, name, joined_ms=BEGAN_MS - 1000, left_ms=BEGAN_MS + 20_000)
            for identity, name in (("maya", "Maya"), ("robert", "Robert"))
        ),
    )


def room_finished() -> RoomFinished:
    """The event as it should be."""
    return RoomFinished(
        meeting_id=MEETING,
        started_at=BEGAN - timedelta(seconds=2),
        ended_at=BEGAN + timedelta(seconds=23),
        room_sid="RM_1",
        source="webhook",
        reason="webhook",
    )


def integrity() -> Integrity:
    """All four lines are proved to be there."""
    producer = ProducerIntegrity(
        producer_id=PRODUCER, room_sid="RM_1", declared=4, stored=4, dead=0, erased=0, missing=(), closed=True
    )
    return Integrity(meeting_id=MEETING, verdict="complete", reason="all there", producers=(producer,))


def outcome() -> Outcome:
    """Everything is there."""
    return Outcome(lines=stored(), integrity=integrity(), room_finished=(room_finished(),))
