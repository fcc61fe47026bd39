"""One example of every message, as an object. The golden files (`golden_files`) hold the same as bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from meetai_contracts import api, approval, dead_letters, events, ledger, room, summary, transcript

PRODUCER: Final = UUID("0199f5a0-7b1c-7d00-8a3e-5f2b9c4d1e60")
PROPOSAL: Final = UUID("0199f5a1-0000-7000-8000-000000000001")
MEETING: Final = "team/stand-up 😀"
ROOM_SID: Final = "RM_hycBMAjmt6Ub"
START: Final = dt.datetime(2026, 11, 2, 9, 0, 0, 250_000, tzinfo=dt.UTC)
BERLIN: Final = dt.timezone(dt.timedelta(hours=1))
START_MS: Final = 1_793_610_000_250

_AGENT_ASKED = api.AgentRequest(name="Clara", instructions="Be brief.", language="en", voice="en-us", reply="always")
_AGENT = _AGENT_ASKED.as_data()
_MEETING = room.MeetingData(id=MEETING, name="Stand-up")
_ANN = transcript.Speaker(identity="u-1", name="Ann Überall", kind="human")
_CLARA = transcript.Speaker(identity="agent-AJ_1", name="Clara", kind="agent")
_LINES = (
    transcript.TranscriptLine(PRODUCER, 1, _ANN, "Good morning, 世界.", START_MS, START_MS + 1_200, "en", 0.875),
    transcript.TranscriptLine(PRODUCER, 2, _CLARA, "Hello—", START_MS + 900, START_MS + 2_000, interrupted=True),
)
_SHARED = transcript.TranscriptLine(
    PRODUCER, 3, _ANN, "Once upon a time.", START_MS, START_MS + 1_200, source="screen_share"
)
_EVENT = approval.CalendarEvent(
    title="Retro",
    start=dt.datetime(2026, 11, 9, 10, 0, tzinfo=BERLIN),
    end=dt.datetime(2026, 11, 9, 10, 30, tzinfo=BERLIN),
    time_zone="Europe/Berlin",
    attendees=("ann@example.com", "u-2"),
    description="What went well?",
    location="Room 4",
)
_ROOM_FINISHED = events.RoomFinished(
    meeting_id=MEETING,
    started_at=START,
    ended_at=START + dt.timedelta(minutes=15),
    room_sid=ROOM_SID,
    source="webhook",
    reason="webhook",
)
_SUMMARY = summary.MeetingSummary(
    overview="Ann said good morning.",
    written_by="openai/gpt-4.1-mini",
    producer_ids=(PRODUCER,),
    decisions=("We meet at ten.",),
    action_items=(summary.ActionItem("Book Room 4.", owner="Ann Überall"), summary.ActionItem("Bring 世界.")),
    notes=(summary.SummaryNote("Greetings.", started_ms=START_MS, ended_ms=START_MS + 2_000),),
)
_LETTER = dead_letters.DeadLetterSummary(
    id=7,
    reason="conflict",
    detail="another line is stored under this id",
    stream=transcript.stream_key(0),
    entry_id="1793610000250-0",
    meeting_id=MEETING,
    producer_id=PRODUCER,
    seq=1,
    died_at=START,
    attempts=1,
    attempted_at=START + dt.timedelta(minutes=5),
    payload_bytes=120,
)


def _batch(kind: transcript.BatchKind, first: int, last: int, high: int, *lines: transcript.TranscriptLine) -> Any:
    return transcript.TranscriptBatch(1, kind, MEETING, ROOM_SID, PRODUCER, first, last, high, lines)


BATCHES: Final[Mapping[str, transcript.TranscriptBatch]] = {
    "batch-open": _batch("open", 0, 0, 0),
    "batch-lines": _batch("lines", 1, 2, 2, *_LINES),
    "batch-screen-share": _batch("lines", 3, 3, 9, _SHARED),
    "batch-gap": _batch("gap", 3, 7, 9),
    "batch-close": _batch("close", 0, 0, 9),
}
"""Stream entries: msgpack, kept as hexadecimal text."""

MESSAGES: Final[Mapping[str, msgspec.Struct]] = {
    "room-metadata": room.RoomMetadata(v=1, meeting_data=_MEETING, agent_data=_AGENT),
    "room-metadata-least": room.RoomMetadata(
        v=1, meeting_data=_MEETING, agent_data=room.AgentData(name="Clara", instructions="")
    ),
    "room-metadata-without-agent": room.RoomMetadata(v=1, meeting_data=_MEETING),
    "agent-stand": room.AgentStand(v=1, state="serving", since_ms=START_MS),
    "caption-interim": transcript.LiveTranscript(
        v=1,
        segment="SG_1",
        final=False,
        speaker=transcript.CaptionSpeaker("u-1", "Ann Überall", "human"),
        text="Good mor",
        started_ms=START_MS,
    ),
    "caption-final": transcript.LiveTranscript(
        v=1,
        segment="SG_1",
        final=True,
        speaker=transcript.CaptionSpeaker("u-1", "Ann Überall", "human"),
        text="Good morning, 世界.",
        started_ms=START_MS,
        id=f"{PRODUCER}:1",
        ended_ms=START_MS + 1_200,
        language="en",
    ),
    "caption-screen-share": transcript.LiveTranscript(
        v=1,
        segment="SG_2",
        final=True,
        speaker=transcript.CaptionSpeaker("u-1", "Ann Überall", "human"),
        text="Once upon a time.",
        started_ms=START_MS,
        id=f"{PRODUCER}:3",
        ended_ms=START_MS + 1_200,
        source="screen_share",
    ),
    "approval-request": approval.ApprovalRequest(
        v=1, proposal_id=PROPOSAL, kind="calendar_event", expires_at=START + dt.timedelta(minutes=2), event=_EVENT
    ),
    "approval-approved": approval.ApprovalReply(v=1, proposal_id=PROPOSAL, decision="approved"),
    "approval-rejected": approval.ApprovalReply(v=1, proposal_id=PROPOSAL, decision="rejected", comment="Not now."),
    "approval-modified": approval.ApprovalReply(v=1, proposal_id=PROPOSAL, decision="modified", event=_EVENT),
    "domain-event": events.DomainEvent(
        v=1,
        id=events.room_finished_id(ROOM_SID),
        name=events.ROOM_FINISHED,
        occurred_at=START,
        data=msgspec.to_builtins(_ROOM_FINISHED),
    ),
    "event-room-finished": _ROOM_FINISHED,
    "event-transcript-completed": events.TranscriptCompleted(
        meeting_id=MEETING, room_sid=ROOM_SID, lines=2, completed_at=START
    ),
    "event-calendar-approved": events.CalendarEventDecided(
        meeting_id=MEETING,
        room_sid=ROOM_SID,
        proposal_id=PROPOSAL,
        decided_by="u-1",
        decided_at=START,
        event=_EVENT,
        modified=True,
        comment="Half an hour will do.",
        ics="BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    ),
    "token-request": api.TokenRequest(
        user_id="u-1", user_name="Ann Überall", role="host", meeting_name="Stand-up", agent=_AGENT_ASKED
    ),
    "token-request-least": api.TokenRequest(user_id="u-1", user_name="Ann"),
    "token-request-without-agent": api.TokenRequest(user_id="u-1", user_name="Ann", agent=None),
    "token-response": api.TokenResponse(
        server_url="wss://meet.example.com", participant_token="e30.e30.c2ln", room_name=MEETING, expires_at=START
    ),
    "meeting-state": api.MeetingState(
        meeting_id=MEETING,
        room_sid=ROOM_SID,
        started_at=START,
        agent_present=True,
        participants=(api.PresentPerson(identity="u-1", name="Ann Überall", joined_at=START, publishing=True),),
        meeting_name="Stand-up",
    ),
    "transcript-page": api.TranscriptPage(
        lines=tuple(api.stored_line(line, START) for line in (*_LINES, _SHARED)), next="eyJzIjoyfQ"
    ),
    "search-page": api.SearchPage(
        hits=(
            api.SearchHit(
                meeting_id=MEETING,
                id=f"{PRODUCER}:1",
                speaker=transcript.CaptionSpeaker("u-1", "Ann Überall", "human"),
                snippet="Good <mark>morning</mark>, 世界.",
                started_ms=START_MS,
                ended_ms=START_MS + 1_200,
                language="en",
            ),
        ),
        next="eyJzIjoyfQ",
        indexed_through=START,
    ),
    "integrity": api.Integrity(
        meeting_id=MEETING,
        verdict="incomplete",
        reason="5 lines are missing",
        producers=(
            api.ProducerIntegrity(
                producer_id=PRODUCER,
                room_sid=ROOM_SID,
                declared=9,
                stored=2,
                dead=1,
                erased=1,
                missing=((3, 6), (9, 9)),
                closed=True,
            ),
        ),
    ),
    "ledger-page": api.LedgerPage(
        events=(
            api.LedgerEntry(
                id=events.room_finished_id(ROOM_SID),
                name=events.ROOM_FINISHED,
                source="webhook",
                room_sid=ROOM_SID,
                received_at=START,
                state="sent",
                attempts=1,
                data=msgspec.to_builtins(_ROOM_FINISHED),
                sent_at=START + dt.timedelta(seconds=1),
            ),
        ),
        next=None,
    ),
    "meeting-life": ledger.MeetingLife(
        meeting_id=MEETING,
        rooms=(
            ledger.RoomLife(
                room_sid=ROOM_SID,
                started_at=START,
                announced_at=START,
                seen_at=START + dt.timedelta(minutes=10),
                agent_joined_at=START + dt.timedelta(seconds=1),
                finished_at=START + dt.timedelta(minutes=10),
                told_by=ROOM_SID,
                accepted_at=START + dt.timedelta(minutes=10),
                sent_at=START + dt.timedelta(minutes=11),
            ),
            ledger.RoomLife(room_sid="RM_before", started_at=START, announced_at=START, seen_at=START),
        ),
    ),
    "replay-request": ledger.ReplayRequest(received_from=START, state="dead", name=events.ROOM_FINISHED, cursor="7"),
    "replayed": ledger.Replayed(replayed=3, next="7"),
    "dead-letter-page": dead_letters.DeadLetterPage(dead_letters=(_LETTER,), next="7"),
    "dead-letter-content": dead_letters.DeadLetterContent(
        dead_letter=_LETTER,
        batch=dead_letters.DeadBatch(
            kind="lines",
            meeting_id=MEETING,
            room_sid=ROOM_SID,
            producer_id=PRODUCER,
            first_seq=1,
            last_seq=1,
            high_water=2,
            lines=(
                dead_letters.DeadLine(
                    id=f"{PRODUCER}:1",
                    seq=1,
                    speaker=transcript.CaptionSpeaker("u-1", "Ann Überall", "human"),
                    text="Good morning, 世界.",
                    started_ms=START_MS,
                    ended_ms=START_MS + 1_200,
                    language="en",
                    confidence=0.875,
                ),
            ),
        ),
    ),
    "dead-letter-content-unreadable": dead_letters.DeadLetterContent(dead_letter=_LETTER, payload="wf8="),
    "redrive-request": dead_letters.RedriveRequest(
        reason="conflict",
        meeting_id=MEETING,
        died_from=START,
        died_before=START + dt.timedelta(hours=1),
        discard_conflicts=True,
        limit=10,
        cursor="7",
    ),
    "redriven": dead_letters.Redriven(redriven=3, discarded=1, stayed=2, lines=12, next="7"),
    "meeting-summary": _SUMMARY,
    "meeting-summary-least": summary.MeetingSummary(
        overview="Nobody said a word.", written_by="extractive", producer_ids=()
    ),
    "stored-summary": summary.StoredSummary(
        **msgspec.structs.asdict(_SUMMARY), meeting_id=MEETING, stored_at=START + dt.timedelta(minutes=20)
    ),
    "problem": api.Problem(
        type="about:blank",
        title="Bad Request",
        status=400,
        detail="The request is not acceptable.",
        errors=(api.FieldError(field="userId", message="is required"),),
    ),
}
"""JSON messages, by the name of their golden file."""
