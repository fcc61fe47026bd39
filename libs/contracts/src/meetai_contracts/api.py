"""HTTP bodies of the four services, camelCase.

Owns their shapes and the limits of single fields. Must not know status codes or paths.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from meetai_contracts.approval import Zoned
from meetai_contracts.identifiers import Seq, UnixMs, check_id, check_name
from meetai_contracts.room import AgentData
from meetai_contracts.transcript import CaptionSpeaker, Source, TranscriptLine

Role = Literal["host", "participant", "viewer"]
Verdict = Literal["complete", "incomplete", "unproven"]
EventState = Literal["pending", "sent", "dead"]


class FieldError(Struct, frozen=True):
    """One thing that is wrong with a request: which field, and why."""

    field: str
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: tuple[FieldError, ...] = ()


class AgentRequest(AgentData, frozen=True, forbid_unknown_fields=True):
    """The agent that a `TokenRequest` asks for: `AgentData` of which nothing is ignored either."""

    def as_data(self) -> AgentData:
        """What the room is told."""
        return msgspec.convert(self, AgentData, from_attributes=True)


class TokenRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`POST /v1/meetings/{id}/tokens`: let one person into one meeting.

    Refuses what it doesn't know: who misspells `role`, or asks for a grant that nobody may choose, must not be given a token
    that says something else.

    Attributes:
        user_id: Becomes the participant's identity.
        user_name: Becomes the participant's display name.
        role: The role asked for; more than policy gives is refused. Without it `participant`, or less where that is all.
        meeting_name: What people call the meeting; the id when absent.
        agent: The agent this meeting should have; null for none; absent for the default agent.
    """

    user_id: str
    user_name: str
    role: Role | None = None
    meeting_name: str | None = None
    agent: AgentRequest | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        check_id(self.user_id, "userId")
        check_name(self.user_name, "userName")
        if self.meeting_name is not None:
            check_name(self.meeting_name, "meetingName")


class TokenResponse(Struct, frozen=True, rename="camel"):
    """What a client needs to join. `expires_at` bounds the joining, not the stay."""

    server_url: str
    participant_token: str
    room_name: str
    expires_at: Zoned


class PresentPerson(Struct, frozen=True, rename="camel"):
    """Somebody who is in a meeting now.

    Attributes:
        publishing: Whether they send sound or video.
    """

    identity: str
    name: str
    joined_at: Zoned
    publishing: bool


class MeetingState(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`GET /v1/meetings/{id}`: what is known of a live meeting.

    Attributes:
        room_sid: LiveKit's id of this room; another one each time the meeting's room is made anew.
        started_at: When that was.
        agent_present: Whether an agent takes part.
        participants: Everybody who isn't an agent, those who came first first.
        meeting_name: What people call the meeting; absent where the room doesn't know.
    """

    meeting_id: str
    room_sid: str
    started_at: Zoned
    agent_present: bool
    participants: tuple[PresentPerson, ...]
    meeting_name: str | None = None


class StoredLine(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A `TranscriptLine` and its id, as the store gives it back.

    Attributes:
        committed_at: When the store had it for good.
        source: Absent means the microphone, as in `LiveTranscript`.
    """

    id: str
    producer_id: UUID
    seq: Seq
    speaker: CaptionSpeaker
    text: str
    started_ms: UnixMs
    ended_ms: UnixMs
    committed_at: Zoned
    language: str | None = None
    confidence: float | None = None
    interrupted: bool = False
    source: Source = "microphone"


class TranscriptPage(Struct, frozen=True, rename="camel"):
    """Lines in the order in which they were spoken. `next` is an opaque cursor, null on the last page."""

    lines: tuple[StoredLine, ...]
    next: str | None


class SearchHit(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A line that a search has found.

    Attributes:
        meeting_id: Where it was said.
        id: The line's id, as in the transcript.
        snippet: The part of its text with the first match, as HTML: matches in `<mark>`, all else escaped, `…` where text is
            left out.
        source: Absent means the microphone.
    """

    meeting_id: str
    id: str
    speaker: CaptionSpeaker
    snippet: str
    started_ms: UnixMs
    ended_ms: UnixMs
    language: str | None = None
    source: Source = "microphone"


class SearchPage(Struct, frozen=True, rename="camel"):
    """Hits, the newest first.

    Attributes:
        next: An opaque cursor, null on the last page.
        indexed_through: Lines with an earlier `committedAt` have been looked through; later ones may not be found yet.
    """

    hits: tuple[SearchHit, ...]
    next: str | None
    indexed_through: Zoned


class ProducerIntegrity(Struct, frozen=True, rename="camel"):
    """What is known of one agent job's lines.

    Attributes:
        declared: The highest `seq` that the producer is known to have given.
        stored, dead, erased: Lines in the store, in the dead-letter table, and erased on request.
        missing: Ranges that are in none of these, each `[first, last]`.
        closed: The producer said that it has ended; until then more may come.
    """

    producer_id: UUID
    room_sid: str
    declared: int
    stored: int
    dead: int
    erased: int
    missing: tuple[tuple[int, int], ...]
    closed: bool


class Integrity(Struct, frozen=True, rename="camel"):
    """Whether a meeting's transcript is all that was said.

    Attributes:
        verdict: `complete`: every producer closed some time ago, nothing missing. `incomplete`: something is missing, and which
            is listed. `unproven`: a producer hasn't closed or only just has, or none ever opened.
        reason: The verdict in words.
    """

    meeting_id: str
    verdict: Verdict
    reason: str
    producers: tuple[ProducerIntegrity, ...]


class LedgerEntry(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One event that webhook-bridge took responsibility for."""

    id: str
    name: str
    source: str
    room_sid: str | None
    received_at: Zoned
    state: EventState
    attempts: int
    data: dict[str, Any]
    sent_at: Zoned | None = None


class LedgerPage(Struct, frozen=True, rename="camel"):
    """Ledger entries, newest first. `next` is an opaque cursor, null on the last page."""

    events: tuple[LedgerEntry, ...]
    next: str | None


class Health(Struct, frozen=True, omit_defaults=True):
    """`/livez` and `/readyz`.

    Attributes:
        checks: For `/readyz`: each dependency, `ok` or why not, in a few words.
    """

    status: Literal["ok", "unavailable"]
    checks: dict[str, Annotated[str, Meta(max_length=200)]] = {}


def stored_line(line: TranscriptLine, committed_at: Zoned) -> StoredLine:
    """A line as the store gives it back."""
    speaker = CaptionSpeaker(identity=line.speaker.identity, name=line.speaker.name, kind=line.speaker.kind)
    return StoredLine(
        id=line.id,
        producer_id=line.producer_id,
        seq=line.seq,
        speaker=speaker,
        text=line.text,
        started_ms=line.started_ms,
        ended_ms=line.ended_ms,
        committed_at=committed_at,
        language=line.language,
        confidence=line.confidence,
        interrupted=line.interrupted,
        source=line.source,
    )
