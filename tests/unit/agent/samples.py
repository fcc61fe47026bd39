"""Lines, producers and speakers for the agent's tests."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from meetai_agent.domain.batches import Producer
from meetai_contracts.transcript import Speaker, TranscriptBatch, TranscriptLine, decode_batch

WIDEST_ID = "\N{SNOWMAN}" * 85 + "x"
"""256 bytes of UTF-8, LiveKit's limit for names of rooms and identities."""
LONGEST_TEXT = "w" * 16 * 1024
MAYA = Speaker(identity="maya", name="Maya", kind="human")
WIDEST_SPEAKER = Speaker(identity=WIDEST_ID, name="n" * 1024, kind="human")


def new_producer(meeting_id: str = "standup", room_sid: str = "RM_test") -> Producer:
    return Producer(id=UUID(int=uuid7().int), meeting_id=meeting_id, room_sid=room_sid)


def line(producer: Producer, seq: int, text: str | None = None, speaker: Speaker = MAYA) -> TranscriptLine:
    return TranscriptLine(
        producer_id=producer.id,
        seq=seq,
        speaker=speaker,
        text=text or f"line {seq}",
        started_ms=1_700_000_000_000 + seq,
        ended_ms=1_700_000_000_500 + seq,
    )


def covered(batches: list[TranscriptBatch]) -> list[int]:
    """Every seq that the batches carry or name lost, in the order of the stream."""
    return [seq for batch in batches for seq in range(batch.first_seq, batch.last_seq + 1) if seq]


def lines_of(batches: list[TranscriptBatch]) -> list[TranscriptLine]:
    return [line for batch in batches for line in batch.lines]


def decoded(entries: list[bytes]) -> list[TranscriptBatch]:
    return [decode_batch(entry) for entry in entries]
