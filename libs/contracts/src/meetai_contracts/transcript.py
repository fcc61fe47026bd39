"""What was said: lines and batches from the agent to the store, captions from the agent to the browsers.

Owns `TranscriptLine`, `TranscriptBatch` (msgpack, array-like: fields are only ever appended) and `LiveTranscript` (JSON),
and the names of the streams and topics that carry them. Must not decide when anything is sent.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from meetai_contracts.codec import ContractError, decode_json, decode_msgpack
from meetai_contracts.identifiers import SAFE_INTEGER, Seq, UnixMs, check_id, line_id

MAX_BATCH_BYTES: Final = 256 * 1024
MAX_BATCH_LINES: Final = 1_000
MAX_TEXT_BYTES: Final = 16 * 1024
"""One line's text. A recogniser's final is a sentence or two; ten lines of this size still fit a batch."""
MAX_CAPTION_BYTES: Final = 64 * 1024
MAX_SPEAKER_BYTES: Final = 1024

LIVE_TOPIC: Final = "meetai.transcript"
"""Topic of the data packets that carry `LiveTranscript`."""
BATCH_FIELD: Final = "b"
"""Field of a stream entry that holds the batch."""
TRACE_FIELD: Final = "traceparent"
"""Optional field beside it: the span that sent this entry, W3C Trace Context. Not of the batch, whose bytes stay the same when it
is sent again."""

_SHORT_TEXT: Final = MAX_TEXT_BYTES // 4
_SHORT_SPEAKER: Final = MAX_SPEAKER_BYTES // 4
"""Characters that fit whatever they are. Every line ever said is checked when it is read: without calls, where that suffices."""

SpeakerKind = Literal["human", "agent"]
Source = Literal["microphone", "screen_share"]
"""What was heard: a person's own voice, or the sound of the screen that they share."""
BatchKind = Literal["open", "lines", "gap", "close"]
BATCH_VERSION: Final = 1


class Speaker(Struct, frozen=True, array_like=True, gc=False):
    """Who said a line.

    Attributes:
        identity: LiveKit participant identity, the application's user id.
        name: Display name at the time; may be empty, LiveKit doesn't require one.
        kind: A person, or the agent itself.
    """

    identity: str
    name: str
    kind: SpeakerKind

    def __post_init__(self) -> None:
        identity, name = self.identity, self.name
        if "\0" in identity or "\0" in name or len(identity) > _SHORT_SPEAKER or len(name) > _SHORT_SPEAKER:
            _check_text_bytes(identity, "identity", MAX_SPEAKER_BYTES)
            _check_text_bytes(name, "name", MAX_SPEAKER_BYTES)


class TranscriptLine(Struct, frozen=True, array_like=True, gc=False):
    """One final line, as the agent writes it to the stream.

    Attributes:
        producer_id: UUIDv7 of the agent's job. Its timestamp is the producer's start, by which the store is partitioned.
        seq: From 1, given when the final arrives.
        text: 1 byte to 16 KiB of UTF-8 without NUL.
        started_ms, ended_ms: When it was spoken, Unix milliseconds.
        language: BCP 47 tag, where the recogniser says it.
        confidence: 0 to 1, where the recogniser says it.
        interrupted: The agent was talked over and stopped here.
        source: What was heard: the speaker, or the sound of the screen that they share.
    """

    producer_id: UUID
    seq: Seq
    speaker: Speaker
    text: str
    started_ms: UnixMs
    ended_ms: UnixMs
    language: Annotated[str, Meta(max_length=64)] | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    interrupted: bool = False
    source: Source = "microphone"

    def __post_init__(self) -> None:
        text = self.text
        if not text:
            raise ValueError("text must not be empty")
        if "\0" in text or len(text) > _SHORT_TEXT:
            _check_text_bytes(text, "text", MAX_TEXT_BYTES)
        if self.language is not None:
            _check_text_bytes(self.language, "language", MAX_TEXT_BYTES)
        if self.ended_ms < self.started_ms:
            raise ValueError("ended_ms must not be before started_ms")

    @property
    def id(self) -> str:
        """The line's id, `producer_id:seq`."""
        return line_id(self.producer_id, self.seq)


class TranscriptBatch(Struct, frozen=True, array_like=True, gc=False):
    """One stream entry. Frozen once built: a retry sends the same bytes.

    Attributes:
        v: Contract version; the first element, so that a reader can tell a version it doesn't know.
        kind: `open` when the producer starts; `lines`; `gap` names lines that are lost; `close` when it has ended.
        meeting_id: The room's name.
        room_sid: LiveKit's sid of this run of the room; a name can be used again, a sid can't.
        producer_id: As in the lines.
        first_seq, last_seq: The range that `lines` or `gap` covers, without holes; 0 for `open` and `close`.
        high_water: Declared high-water mark: the highest `seq` the producer had given when this was built.
        lines: The lines themselves, for `lines` only.
    """

    v: Literal[1]
    kind: BatchKind
    meeting_id: str
    room_sid: str
    producer_id: UUID
    first_seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    last_seq: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    high_water: Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
    lines: Annotated[tuple[TranscriptLine, ...], Meta(max_length=MAX_BATCH_LINES)] = ()

    def __post_init__(self) -> None:
        check_id(self.meeting_id, "meeting_id")
        check_id(self.room_sid, "room_sid")
        if self.last_seq > self.high_water:
            raise ValueError("last_seq must not be above high_water")
        if self.kind in {"open", "close"}:
            if (self.first_seq, self.last_seq, self.lines) != (0, 0, ()):
                raise ValueError(f"a batch of kind {self.kind} must not carry lines or a range")
            return
        if not 1 <= self.first_seq <= self.last_seq:
            raise ValueError("first_seq must be 1 to last_seq")
        if self.kind == "gap":
            if self.lines:
                raise ValueError("a batch of kind gap must not carry lines")
            return
        if len(self.lines) != self.last_seq - self.first_seq + 1:
            raise ValueError("lines must be as many as the range first_seq to last_seq")
        producer = self.producer_id.int  # what UUID compares, without a call a line
        for seq, line in enumerate(self.lines, self.first_seq):
            if line.seq != seq or line.producer_id.int != producer:
                raise ValueError("lines must follow one another in seq, all of this producer")


class _Envelope(Struct, frozen=True, array_like=True):
    v: int


class UnknownVersionError(ContractError):
    """A batch of a contract version that this code doesn't know; it may be read after an upgrade."""


class CaptionSpeaker(Struct, frozen=True, rename="camel"):
    """Who is being captioned: `Speaker`, as browsers see it."""

    identity: str
    name: str
    kind: SpeakerKind


class LiveTranscript(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A data packet on the topic `meetai.transcript`.

    Attributes:
        segment: Joins interims with their final.
        final: Only a final has `id` and `ended_ms`.
        id: The line's id in the store.
        source: Absent means the microphone.
    """

    v: Literal[1]
    segment: str
    final: bool
    speaker: CaptionSpeaker
    text: str
    started_ms: UnixMs
    id: str | None = None
    ended_ms: UnixMs | None = None
    language: str | None = None
    source: Source = "microphone"


def encode_batch(batch: TranscriptBatch) -> bytes:
    """Write a batch for the stream.

    Raises:
        ContractError: more than 256 KiB.
    """
    data = _BATCH_ENCODER.encode(batch)
    if len(data) > MAX_BATCH_BYTES:
        raise ContractError("", f"is {len(data)} bytes; at most {MAX_BATCH_BYTES} are accepted")
    return data


def decode_batch(data: bytes) -> TranscriptBatch:
    """Read a batch from the stream.

    Raises:
        UnknownVersionError: well-formed, but of another contract version.
        ContractError: too large, not msgpack or not a batch.
    """
    try:
        return decode_msgpack(data, TranscriptBatch, max_bytes=MAX_BATCH_BYTES)
    except ContractError as error:
        try:
            envelope = decode_msgpack(data, _Envelope, max_bytes=MAX_BATCH_BYTES)
        except ContractError:
            raise error from None
        if envelope.v != BATCH_VERSION:
            raise UnknownVersionError("v", f"is contract version {envelope.v}; known is {BATCH_VERSION}") from None
        raise


def parse_live_transcript(data: bytes) -> LiveTranscript:
    """Read a caption from a data packet.

    Raises:
        ContractError: too large, not JSON or not a caption.
    """
    return decode_json(data, LiveTranscript, max_bytes=MAX_CAPTION_BYTES)


def stream_key(shard: int) -> str:
    """The Redis key of one transcript stream. The braces are a hash tag, so that Redis Cluster spreads the shards."""
    return f"meetai:transcript:{{{shard}}}"


def shard_of(meeting_id: str, shards: int) -> int:
    """Which of `shards` streams carries a meeting. Stable across processes, versions and machines (CRC-32)."""
    return zlib.crc32(meeting_id.encode()) % shards


def encoded_line_bytes(line: TranscriptLine) -> int:
    """Bytes that a line takes within a batch, for a producer that fills batches up to the limit."""
    return len(_BATCH_ENCODER.encode(line))


_BATCH_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")


def _check_text_bytes(text: str, name: str, max_bytes: int) -> None:
    if "\0" in text:
        raise ValueError(f"{name} must not hold NUL")
    if len(text) * 4 > max_bytes and len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise ValueError(f"{name} must be at most {max_bytes} bytes of UTF-8")
