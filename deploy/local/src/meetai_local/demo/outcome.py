"""What the engine kept of a meeting: waits, with deadlines, for what should come after the last one has left.

Owns the waiting. Must not judge: what has not come by its deadline is missing from the outcome, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from meetai_contracts.api import Integrity, StoredLine
from meetai_contracts.events import CALENDAR_EVENT_APPROVED, ROOM_FINISHED, CalendarEventDecided, RoomFinished
from meetai_contracts.summary import StoredSummary
from meetai_local.demo.engine import EngineError

INTEGRITY_DEADLINE_SECONDS: Final = 45.0
"""LiveKit ends an empty room after 3 s; the agent's `close` and its commit follow at once, or after a service's restart."""
EVENT_DEADLINE_SECONDS: Final = 30.0
"""LiveKit sends a webhook again after 1, 2, 4 and 8 s (FACTS, LiveKit webhooks)."""
DUPLICATE_WAIT_SECONDS: Final = 2.0
"""How long to look for a second event after the first."""
SUMMARY_DEADLINE_SECONDS: Final = 30.0
"""It is asked for once the transcript is proved; a model may take longer than the rules, which take a second."""
_POLL_SECONDS: Final = 0.25

T = TypeVar("T")
ReceivedEvents = Callable[[str], Awaitable[Sequence[Mapping[str, Any]]]]
"""Every event of a name that Inngest, or the recorder in its place, has received: `id`, `name` and `data` at least."""


class TranscriptStore(Protocol):
    """Where the transcript is read: `Engine`, or a test. Both raise `EngineError`."""

    async def transcript(self, meeting_id: str) -> tuple[StoredLine, ...]:
        """Every stored line."""
        ...

    async def integrity(self, meeting_id: str) -> Integrity:
        """Whether these are all."""
        ...


class Outcome(Struct, frozen=True):
    """What there is, when everything should be there.

    Attributes:
        lines: The transcript as stored.
        integrity: The last answer; None if there never was one.
        approved: The meeting's `meetai/calendar_event.approved` events, all that were received, where some were expected.
        room_finished: The meeting's `livekit/room_finished` events, all that were received.
        unreadable_events: Events of that name which aren't of the contract; they may be this meeting's.
        problem: The last request that failed, if any did and nothing came after it; "" otherwise.
    """

    lines: tuple[StoredLine, ...]
    integrity: Integrity | None
    room_finished: tuple[RoomFinished, ...]
    approved: tuple[CalendarEventDecided, ...] = ()
    unreadable_events: int = 0
    problem: str = ""


async def await_outcome(
    store: TranscriptStore, meeting_id: str, received_events: ReceivedEvents, *, approval: bool = False
) -> Outcome:
    """Wait until the transcript is proved complete and the meeting's end is an event, or until the deadlines.

    With `approval`, what was approved must be an event by then too: it was decided long before.
    """
    integrity, problem = await _await_integrity(store, meeting_id)
    try:
        lines = await store.transcript(meeting_id)
    except EngineError as error:
        lines, problem = (), str(error)
    events, unreadable = await _await_room_finished(meeting_id, received_events)
    approved, _ = _parse(await received_events(CALENDAR_EVENT_APPROVED), CalendarEventDecided) if approval else ([], 0)
    return Outcome(
        lines=lines,
        integrity=integrity,
        room_finished=events,
        approved=tuple(event for event in approved if event.meeting_id == meeting_id),
        unreadable_events=unreadable,
        problem=problem,
    )


async def await_summary(summary_of: Callable[[str], Awaitable[StoredSummary]], meeting_id: str) -> StoredSummary | None:
    """Wait until what comes after the meeting has come to its end; None at the deadline."""
    deadline = asyncio.get_running_loop().time() + SUMMARY_DEADLINE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            return await summary_of(meeting_id)
        except EngineError:
            await asyncio.sleep(_POLL_SECONDS)
    return None


async def _await_integrity(store: TranscriptStore, meeting_id: str) -> tuple[Integrity | None, str]:
    integrity, problem = None, ""
    deadline = asyncio.get_running_loop().time() + INTEGRITY_DEADLINE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        try:
            integrity, problem = await store.integrity(meeting_id), ""
        except EngineError as error:
            problem = str(error)
        if integrity is not None and integrity.verdict == "complete":
            break
        await asyncio.sleep(_POLL_SECONDS)
    return integrity, problem


async def _await_room_finished(
    meeting_id: str, received_events: ReceivedEvents
) -> tuple[tuple[RoomFinished, ...], int]:
    deadline = asyncio.get_running_loop().time() + EVENT_DEADLINE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        if any(
            event.meeting_id == meeting_id for event in _parse(await received_events(ROOM_FINISHED), RoomFinished)[0]
        ):
            await asyncio.sleep(DUPLICATE_WAIT_SECONDS)
            break
        await asyncio.sleep(_POLL_SECONDS)
    events, unreadable = _parse(await received_events(ROOM_FINISHED), RoomFinished)
    return tuple(event for event in events if event.meeting_id == meeting_id), unreadable


def _parse(received: Sequence[Mapping[str, Any]], into: type[T]) -> tuple[list[T], int]:
    events = []
    for event in received:
        try:
            events.append(msgspec.convert(event.get("data"), into))
        except msgspec.ValidationError:
            continue
    return events, len(received) - len(events)
