"""A batch as the write path reads it: what the contract accepts, at a third of the cost of the contract's own Structs.

Owns that difference: the producer's id stays bytes, and what msgspec can't check by itself is checked in one loop instead of a
call a line. Must not accept or refuse anything else than `decode_batch` does: whatever looks wrong here is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal, overload
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from meetai_contracts.identifiers import SAFE_INTEGER, Seq, UnixMs, check_id
from meetai_contracts.transcript import (
    MAX_BATCH_BYTES,
    MAX_BATCH_LINES,
    MAX_SPEAKER_BYTES,
    MAX_TEXT_BYTES,
    BatchKind,
    Source,
    Speaker,
    SpeakerKind,
    TranscriptBatch,
    TranscriptLine,
    decode_batch,
)

_SHORT_TEXT: Final = MAX_TEXT_BYTES // 4
_SHORT_SPEAKER: Final = MAX_SPEAKER_BYTES // 4
"""Characters that fit whatever they are; longer ones are counted in bytes by the contract."""

_Count = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
_ProducerId = Annotated[bytes, Meta(min_length=16, max_length=16)]


class WireSpeaker(Struct, frozen=True, array_like=True, gc=False):
    """As `Speaker`."""

    identity: Annotated[str, Meta(max_length=_SHORT_SPEAKER)]
    name: Annotated[str, Meta(max_length=_SHORT_SPEAKER)]
    kind: SpeakerKind


class WireLine(Struct, frozen=True, array_like=True, gc=False):
    """As `TranscriptLine`; written as msgpack it is the same bytes."""

    producer_id: _ProducerId
    seq: Seq
    speaker: WireSpeaker
    text: Annotated[str, Meta(min_length=1, max_length=_SHORT_TEXT)]
    started_ms: UnixMs
    ended_ms: UnixMs
    language: Annotated[str, Meta(max_length=64)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    interrupted: bool = False
    source: Source = "microphone"

    def as_said(self) -> TranscriptLine:
        """The same line as the contract has it."""
        who = self.speaker
        return TranscriptLine(
            producer_id=UUID(bytes=self.producer_id),
            seq=self.seq,
            speaker=Speaker(who.identity, who.name, who.kind),
            text=self.text,
            started_ms=self.started_ms,
            ended_ms=self.ended_ms,
            language=self.language,
            confidence=self.confidence,
            interrupted=self.interrupted,
            source=self.source,
        )


def wire_line(line: TranscriptLine) -> WireLine:
    """The other way round."""
    who = line.speaker
    return WireLine(
        producer_id=line.producer_id.bytes,
        seq=line.seq,
        speaker=WireSpeaker(who.identity, who.name, who.kind),
        text=line.text,
        started_ms=line.started_ms,
        ended_ms=line.ended_ms,
        language=line.language,
        confidence=line.confidence,
        interrupted=line.interrupted,
        source=line.source,
    )


LayOut = Callable[[Sequence[WireLine]], Sequence[bytes]]
"""Makes the store's rows of lines, one each."""


class LaidOut(Sequence[WireLine]):
    """Lines of a sound batch that are laid out for the store already: the batch's bytes and, opaque here, a row a line.

    10,000 lines wait for their commit as rows, not as 50,000 objects: laid out right after they are read, while the processor has
    them at hand, they cost a quarter less (ADR 0024). Whoever wants a line, which is hardly ever, has it read again.
    """

    __slots__ = ("_data", "rows")

    def __init__(self, data: bytes, rows: Sequence[bytes]) -> None:
        self._data = data
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> WireLine: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[WireLine, ...]: ...

    def __getitem__(self, index: int | slice) -> WireLine | tuple[WireLine, ...]:
        return read_batch(self._data).lines[index]

    def __iter__(self) -> Iterator[WireLine]:
        return iter(read_batch(self._data).lines)


class WireBatch(Struct, frozen=True, array_like=True, gc=False):
    """As `TranscriptBatch`."""

    v: Literal[1]
    kind: BatchKind
    meeting_id: str
    room_sid: str
    producer_id: _ProducerId
    first_seq: _Count
    last_seq: _Count
    high_water: _Count
    lines: Annotated[tuple[WireLine, ...], Meta(max_length=MAX_BATCH_LINES)] = ()


_decode: Final = msgspec.msgpack.Decoder(WireBatch).decode


def read_batch(data: bytes) -> WireBatch:
    """Read a batch from the stream.

    Raises:
        UnknownVersionError: well-formed, but of another contract version.
        ContractError: too large, not msgpack or not a batch.
    """
    if len(data) <= MAX_BATCH_BYTES:
        try:
            batch = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            if _is_plain(batch):
                return batch
    return _on_the_wire(decode_batch(data))


def _is_plain(batch: WireBatch) -> bool:
    """Whether this is certainly what the contract accepts: lines in a row, each of them sound."""
    if batch.kind != "lines" or not _is_id(batch.meeting_id) or not _is_id(batch.room_sid):
        return False
    seq, producer_id, lines = batch.first_seq, batch.producer_id, batch.lines
    if not 1 <= seq <= batch.last_seq <= batch.high_water or len(lines) != batch.last_seq - seq + 1:
        return False
    for line in lines:
        who = line.speaker
        if (
            line.seq != seq
            or line.producer_id != producer_id
            or line.ended_ms < line.started_ms
            or "\0" in line.text
            or "\0" in who.identity
            or "\0" in who.name
            or "\0" in (line.language or "")
        ):
            return False
        seq += 1
    return True


@lru_cache(maxsize=4096)  # those of 2,000 meetings; 2 MB of the longest
def _is_id(text: str) -> bool:
    try:
        check_id(text, "id")
    except ValueError:
        return False
    return True


def _on_the_wire(batch: TranscriptBatch) -> WireBatch:
    return WireBatch(
        v=batch.v,
        kind=batch.kind,
        meeting_id=batch.meeting_id,
        room_sid=batch.room_sid,
        producer_id=batch.producer_id.bytes,
        first_seq=batch.first_seq,
        last_seq=batch.last_seq,
        high_water=batch.high_water,
        lines=tuple([wire_line(line) for line in batch.lines]),
    )
