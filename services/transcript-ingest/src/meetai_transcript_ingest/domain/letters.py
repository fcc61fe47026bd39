"""Dead letters once they are kept: which are meant, what one holds, and how it is opened again.

Owns the reading of a kept payload. Must not know where letters are kept, nor decide what becomes of one.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from meetai_contracts.codec import ContractError
from meetai_contracts.dead_letters import DeadBatch, DeadLetterContent, DeadLetterSummary, DeadLine
from meetai_contracts.transcript import BATCH_FIELD, CaptionSpeaker, TranscriptLine, decode_batch
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.errors import BadCursorError
from meetai_transcript_ingest.domain.intake import Unpacked, unpack

MAX_LETTERS: Final = 500
"""Letters a page, or a bulk redrive. A redrive is a transaction a letter, 7 ms on two busy cores: 3.5 s."""
MAX_ID: Final = 2**63 - 1
"""PostgreSQL's bigint."""

_FIELDS: Final = msgspec.msgpack.Decoder(dict[bytes, bytes])


class LetterFilter(Struct, frozen=True):
    """Which letters are meant; what is None doesn't matter. `died_from` is inclusive, `died_before` is not."""

    reason: str | None = None
    meeting_id: str | None = None
    died_from: datetime | None = None
    died_before: datetime | None = None
    entry: tuple[str, str] | None = None
    """Letters of one entry: its stream and its id."""


class KeptLetter(Struct, frozen=True):
    """A dead letter as the store keeps it.

    Attributes:
        summary: All that may be shown without showing what was said.
        payload: As in `parcels.DeadLetter`.
    """

    summary: DeadLetterSummary
    payload: bytes

    @property
    def seq(self) -> int | None:
        """The line that it is; None for a whole entry."""
        return self.summary.seq


def reopen(letter: KeptLetter) -> Unpacked:
    """Read it with the code as it is now, as if its entry came from the stream again."""
    known = letter.summary
    fields = {BATCH_FIELD.encode(): letter.payload}
    if known.reason == "no_batch":
        try:
            fields = _FIELDS.decode(letter.payload)
        except msgspec.DecodeError:  # it was cut
            fields = {}
    return unpack(Arrival(known.stream, known.entry_id, fields))


def content_of(letter: KeptLetter) -> DeadLetterContent:
    """Everything about a letter, what was said included."""
    try:
        batch = decode_batch(letter.payload)
    except ContractError:
        return DeadLetterContent(letter.summary, payload=base64.b64encode(letter.payload).decode())
    shown = DeadBatch(
        kind=batch.kind,
        meeting_id=batch.meeting_id,
        room_sid=batch.room_sid,
        producer_id=batch.producer_id,
        first_seq=batch.first_seq,
        last_seq=batch.last_seq,
        high_water=batch.high_water,
        lines=tuple([_shown(line) for line in batch.lines]),
    )
    return DeadLetterContent(letter.summary, batch=shown)


def letter_number(text: str) -> int:
    """A letter's id out of a path, a cursor or an argument.

    Raises:
        BadCursorError: it can't be one.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= MAX_ID):
        raise BadCursorError("must be a number that this API gave out")
    return int(text)


def _shown(line: TranscriptLine) -> DeadLine:
    who = line.speaker
    return DeadLine(
        id=line.id,
        seq=line.seq,
        speaker=CaptionSpeaker(identity=who.identity, name=who.name, kind=who.kind),
        text=line.text,
        started_ms=line.started_ms,
        ended_ms=line.ended_ms,
        language=line.language,
        confidence=line.confidence,
        interrupted=line.interrupted,
        source=line.source,
    )
