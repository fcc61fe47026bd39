"""Hypothesis strategies for what the contracts accept."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Final
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from meetai_contracts import api, approval, events, room, transcript
from meetai_contracts.identifiers import BIDI_CONTROLS, MAX_ID_BYTES, MAX_UNIX_MS, SAFE_INTEGER

_BIDI: Final = "".join(sorted(BIDI_CONTROLS))


def _nfc_within_limit(text: str) -> bool:
    return unicodedata.is_normalized("NFC", text) and 1 <= len(text.encode()) <= MAX_ID_BYTES


ids = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs"), exclude_characters=_BIDI),
    min_size=1,
    max_size=64,
).filter(_nfc_within_limit)
names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters=_BIDI), min_size=1, max_size=64
).filter(lambda text: _nfc_within_limit(text) and bool(text.strip()))
free_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
instants = st.datetimes(
    min_value=dt.datetime(1971, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=dt.datetime(9990, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=5, minutes=30))]),
)
unix_ms = st.integers(0, MAX_UNIX_MS)
seqs = st.integers(1, SAFE_INTEGER)
json_objects = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=10),
    st.none()
    | st.booleans()
    | st.integers(-SAFE_INTEGER, SAFE_INTEGER)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    max_size=3,
)

speakers = st.builds(transcript.Speaker, identity=free_text, name=free_text, kind=st.sampled_from(("human", "agent")))
caption_speakers = st.builds(
    transcript.CaptionSpeaker, identity=free_text, name=free_text, kind=st.sampled_from(("human", "agent"))
)


@st.composite
def lines(draw: st.DrawFn, producer_id: UUID | None = None, seq: int | None = None) -> transcript.TranscriptLine:
    """A line, of a given place where one is given."""
    started, ended = sorted((draw(unix_ms), draw(unix_ms)))
    return transcript.TranscriptLine(
        producer_id=producer_id or draw(st.uuids()),
        seq=seq or draw(seqs),
        speaker=draw(speakers),
        text=draw(free_text.filter(bool)),
        started_ms=started,
        ended_ms=ended,
        language=draw(st.none() | free_text.filter(lambda text: len(text) <= 64)),
        confidence=draw(st.none() | st.floats(0, 1)),
        interrupted=draw(st.booleans()),
        source=draw(st.sampled_from(("microphone", "screen_share"))),
    )


@st.composite
def batches(draw: st.DrawFn) -> transcript.TranscriptBatch:
    """A batch of any kind."""
    producer_id = draw(st.uuids())
    kinds: tuple[transcript.BatchKind, ...] = ("open", "lines", "gap", "close")
    kind = draw(st.sampled_from(kinds))
    first = last = 0
    carried: tuple[transcript.TranscriptLine, ...] = ()
    if kind in {"lines", "gap"}:
        first = draw(st.integers(1, SAFE_INTEGER - 10))
        last = first + draw(st.integers(0, 4))
    if kind == "lines":
        carried = tuple(draw(lines(producer_id, seq)) for seq in range(first, last + 1))
    return transcript.TranscriptBatch(
        v=1,
        kind=kind,
        meeting_id=draw(ids),
        room_sid=draw(ids),
        producer_id=producer_id,
        first_seq=first,
        last_seq=last,
        high_water=last + draw(st.integers(0, 5)),
        lines=carried,
    )


agents_asked = st.builds(
    api.AgentRequest,
    name=names,
    instructions=free_text,
    language=st.none() | st.sampled_from(("en", "zh-Hant-TW", "de-CH-1996")),
    voice=st.none() | free_text.filter(lambda text: 1 <= len(text) <= 128),
    reply=st.none() | st.sampled_from(("addressed", "always", "never")),
)
agents = agents_asked.map(api.AgentRequest.as_data)
room_metadata = st.builds(
    room.RoomMetadata,
    v=st.just(1),
    meeting_data=st.builds(room.MeetingData, id=ids, name=names),
    agent_data=st.none() | agents,
)
captions = st.builds(
    transcript.LiveTranscript,
    v=st.just(1),
    segment=free_text,
    final=st.booleans(),
    speaker=caption_speakers,
    text=free_text,
    started_ms=unix_ms,
    id=st.none() | free_text,
    ended_ms=st.none() | unix_ms,
    language=st.none() | free_text,
    source=st.sampled_from(("microphone", "screen_share")),
)


@st.composite
def calendar_events(draw: st.DrawFn) -> approval.CalendarEvent:
    """An event that ends after it starts."""
    start = draw(instants)
    return approval.CalendarEvent(
        title=draw(free_text.filter(bool)),
        start=start,
        end=start + dt.timedelta(minutes=draw(st.integers(1, 600))),
        time_zone=draw(st.sampled_from(("UTC", "Europe/Berlin"))),
        attendees=tuple(draw(st.lists(names, max_size=3))),
        description=draw(st.none() | free_text),
        location=draw(st.none() | free_text),
    )


approval_requests = st.builds(
    approval.ApprovalRequest,
    v=st.just(1),
    proposal_id=st.uuids(),
    kind=st.just("calendar_event"),
    expires_at=instants,
    event=calendar_events(),
)
domain_events = st.builds(
    events.DomainEvent,
    v=st.just(1),
    id=ids,
    name=st.sampled_from((events.ROOM_FINISHED, events.TRANSCRIPT_COMPLETED, "livekit/track_published")),
    occurred_at=instants,
    data=json_objects,
)
token_requests = st.builds(
    api.TokenRequest,
    user_id=ids,
    user_name=names,
    role=st.none() | st.sampled_from(("host", "participant", "viewer")),
    meeting_name=st.none() | names,
    agent=st.none() | st.just(msgspec.UNSET) | agents_asked,
)
stored_lines = st.builds(api.stored_line, lines(), instants)
transcript_pages = st.builds(
    api.TranscriptPage, lines=st.lists(stored_lines, max_size=3).map(tuple), next=st.none() | free_text
)

json_messages: st.SearchStrategy[msgspec.Struct] = st.one_of(
    room_metadata, captions, approval_requests, domain_events, token_requests, transcript_pages
)
