"""The two Inngest functions. A step's result is kept by Inngest and never made twice; none holds what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import inngest
import msgspec

from meetai_contracts.events import ROOM_FINISHED, TRANSCRIPT_COMPLETED
from meetai_post_meeting.errors import EngineRefusedError
from meetai_post_meeting.writing import HasListener, WriteSummary, Written

APP_ID: Final = "meetai-post-meeting"
RETRIES: Final = 8
"""Inngest waits longer each time: some hours in all, for a transcript-ingest that is away."""
AT_ONCE: Final = 5


class _Meeting(msgspec.Struct, frozen=True, rename="camel"):
    """What both events say."""

    meeting_id: str
    room_sid: str


def functions(
    client: inngest.Inngest, write_summary: WriteSummary, has_listener: HasListener, *, late_seconds: int
) -> list[inngest.Function[Any]]:
    """What is served.

    Args:
        client: The app's.
        write_summary: What writes one.
        has_listener: Whether there is or will be a transcript of a room.
        late_seconds: How long one may still turn up after a meeting without.
    """
    one_at_a_time = [
        inngest.Concurrency(limit=1, key="event.data.meetingId"),  # the last writer wins: let that be the last event
        inngest.Concurrency(limit=AT_ONCE),
    ]

    @client.create_function(
        fn_id="summarise-transcript",
        trigger=inngest.TriggerEvent(event=TRANSCRIPT_COMPLETED),
        concurrency=one_at_a_time,
        retries=RETRIES,
    )
    async def summarise_transcript(ctx: inngest.Context) -> dict[str, Any]:
        meeting = _meeting(ctx)
        return await ctx.step.run("write the summary", _kept(write_summary, meeting))

    @client.create_function(
        fn_id="note-missing-transcript",
        trigger=inngest.TriggerEvent(event=ROOM_FINISHED),
        concurrency=one_at_a_time,
        retries=RETRIES,
    )
    async def note_missing_transcript(ctx: inngest.Context) -> dict[str, Any]:
        meeting = _meeting(ctx)
        if await ctx.step.run("look for an agent", _asked(has_listener, meeting)):
            return {"leftTo": TRANSCRIPT_COMPLETED}
        await ctx.step.sleep("let a late one come", timedelta(seconds=late_seconds))
        if await ctx.step.run("look again", _asked(has_listener, meeting)):
            return {"leftTo": TRANSCRIPT_COMPLETED}
        return await ctx.step.run("write that there is none", _kept(write_summary, meeting))

    return [summarise_transcript, note_missing_transcript]


def _meeting(ctx: inngest.Context) -> _Meeting:
    try:
        return msgspec.convert(ctx.event.data, _Meeting)
    except msgspec.ValidationError as error:
        raise inngest.NonRetriableError(f"event data: {error}") from None


def _kept(write: WriteSummary, meeting: _Meeting) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def step() -> dict[str, Any]:
        try:
            written: Written = await write(meeting.meeting_id, meeting.room_sid)
        except EngineRefusedError as error:
            raise inngest.NonRetriableError(str(error)) from error
        result: dict[str, Any] = msgspec.to_builtins(written)
        return result

    return step


def _asked(has_listener: HasListener, meeting: _Meeting) -> Callable[[], Awaitable[bool]]:
    async def step() -> bool:
        try:
            return await has_listener(meeting.meeting_id, meeting.room_sid)
        except EngineRefusedError as error:
            raise inngest.NonRetriableError(str(error)) from error

    return step
