"""When a meeting has ended: what webhooks and our own looking say of LiveKit's rooms, and whose end that is.

A meeting is one room, or several of one name that follow each other within the grace period because LiveKit was restarted
under it: they have other sids, and none but the last is finished (FACTS, LiveKit server). Its end is told once, under the sid
of its last room, with the start of its first (ADR 0060). Owns that judgement. Must not do I/O or read a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from meetai_contracts.events import ROOM_FINISHED, RoomFinished, room_finished_id
from meetai_contracts.identifiers import check_id, clean_text
from meetai_contracts.room import MAX_METADATA_BYTES
from meetai_webhook_bridge.domain.errors import NoEventError
from meetai_webhook_bridge.domain.events import OutboundEvent, domain_event
from meetai_webhook_bridge.domain.webhooks import Webhook

LIFECYCLE: Final = frozenset({"room_started", "room_finished", "participant_joined", "participant_left"})
"""The webhooks that say something of a room's life. Those of tracks are many and say no more than these."""

GRACE: Final = timedelta(seconds=60)
"""How long a room may be away and its meeting still go on, unless set otherwise. LiveKit's clients are back 3 s after a
restart (FACTS); the rest is for the restart."""

Reason = Literal["webhook", "room_gone"]


class RoomFacts(Struct, frozen=True, kw_only=True):
    """What is known of one room. Facts are put together in any order; of metadata the latest counts, as far as it is known.

    Attributes:
        started_at: When LiveKit made it.
        seen_at: When it was last known to be alive.
        announced_at: Its latest `room_started`. A second one means that another node has taken it over: whoever joined
            before isn't there any more, whatever LiveKit lists (FACTS).
        agent_joined_at: When an agent first joined.
        metadata: The last that it had; None when it is not known to have had any.
        finished_at: When it ended, as LiveKit says or as it was judged.
        told_by: The sid of the room under which its meeting's end was told; None until then.
        missing_since: Since when LiveKit doesn't know it, or nobody answers for it.
    """

    sid: str
    name: str
    started_at: datetime
    seen_at: datetime
    announced_at: datetime | None = None
    agent_joined_at: datetime | None = None
    metadata: str | None = None
    finished_at: datetime | None = None
    told_by: str | None = None
    missing_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether its end is still to be told."""
        return self.told_by is None


class MeetingEnd(Struct, frozen=True):
    """The end of a meeting, to be told once."""

    meeting_id: str
    room_sid: str
    started_at: datetime
    ended_at: datetime
    reason: Reason


class Judgement(Struct, frozen=True):
    """What follows from something that was learnt.

    Attributes:
        changed: Rooms whose facts are new.
        end: The end that is to be told now, if any.
    """

    changed: tuple[RoomFacts, ...] = ()
    end: MeetingEnd | None = None


def facts_of(webhook: Webhook) -> RoomFacts | None:
    """What a webhook says of a room; None when it says nothing of a room's life, or of a room that can't be a meeting."""
    room = webhook.room
    if webhook.event not in LIFECYCLE or room is None or not is_meeting(room.sid, room.name):
        return None
    at = webhook.created_at
    started_at = room.created_at or at
    agent_joined = webhook.event == "participant_joined" and webhook.is_of_agent
    return RoomFacts(
        sid=room.sid,
        name=room.name,
        started_at=started_at,
        # Webhooks are dated to the second, rooms to the millisecond: a short meeting must not end before it began.
        seen_at=max(at, started_at),
        announced_at=at if webhook.event == "room_started" else None,
        agent_joined_at=at if agent_joined else None,
        metadata=kept_metadata(room.metadata),
        finished_at=max(at, started_at) if webhook.event == "room_finished" else None,
    )


def together(known: RoomFacts | None, told: RoomFacts) -> RoomFacts:
    """What is known, and what was told, of one room."""
    if known is None:
        return told
    newer = told if told.seen_at >= known.seen_at else known
    seen_at = newer.seen_at
    is_missing = known.missing_since is not None and seen_at <= known.missing_since
    metadata = newer.metadata or known.metadata or told.metadata
    return replace(
        known,
        started_at=min(known.started_at, told.started_at),
        seen_at=seen_at,
        announced_at=_latest(known.announced_at, told.announced_at),
        agent_joined_at=_earliest(known.agent_joined_at, told.agent_joined_at),
        metadata=metadata if known.is_open else None,
        finished_at=_earliest(known.finished_at, told.finished_at),
        missing_since=known.missing_since if is_missing else None,
    )


def hear(known: Iterable[RoomFacts], told: RoomFacts, grace: timedelta) -> Judgement:
    """A webhook, or a look at LiveKit, said something of a room; `known` are the rooms of its name."""
    rooms = {room.sid: room for room in known}
    before = rooms.get(told.sid)
    room = rooms[told.sid] = together(before, told)
    if room.finished_at is None or not room.is_open:
        return Judgement(changed=() if room == before else (room,))
    return _tell(rooms.values(), room, room.finished_at, "webhook", grace)


def judge_silent(room: RoomFacts, now: datetime, grace: timedelta) -> tuple[RoomFacts, bool]:
    """LiveKit lists the room, and its node doesn't answer: the facts, and whether somebody has to adopt it now."""
    if room.missing_since is None:
        return replace(room, missing_since=now), False
    if now - room.missing_since < grace:
        return room, False
    return replace(room, missing_since=now), True


def forgotten_metadata(rooms: Collection[RoomFacts], sid: str, grace: timedelta) -> str | None:
    """The metadata that the room should have and has never had, because LiveKit was restarted under its meeting."""
    room = next((each for each in rooms if each.sid == sid), None)
    if room is None or not room.is_open:
        return None
    meeting = meeting_until(rooms, room, grace)
    return None if room.metadata else next((each.metadata for each in meeting[1:] if each.metadata), None)


def judge_missing(known: Iterable[RoomFacts], sid: str, now: datetime, grace: timedelta) -> Judgement:
    """LiveKit doesn't know this room; `known` are the rooms of its name. Nothing changes until the grace period is over."""
    rooms = {room.sid: room for room in known}
    room = rooms.get(sid)
    if room is None or not room.is_open:
        return Judgement()
    if room.missing_since is None:
        return Judgement(changed=(replace(room, missing_since=now),))
    heir = _next(rooms.values(), room)
    if heir is not None and _goes_on_in(room, heir, grace):
        # The meeting went on in another room. If that has been told, this one came to light too late to be part of it.
        return Judgement() if heir.told_by is None else Judgement(changed=(_told(room, heir.told_by),))
    if now - room.missing_since < grace:
        return Judgement()
    return _tell(rooms.values(), room, room.seen_at, "room_gone", grace)


def meeting_until(rooms: Collection[RoomFacts], last: RoomFacts, grace: timedelta) -> tuple[RoomFacts, ...]:
    """The rooms of the meeting whose last one this is, that one first."""
    meeting = [last]
    while (before := _previous(rooms, meeting[-1])) is not None and before.is_open and before.finished_at is None:
        if not _goes_on_in(before, meeting[-1], grace):
            break
        meeting.append(before)
    return tuple(meeting)


def end_event(end: MeetingEnd) -> OutboundEvent:
    """`livekit/room_finished`, under one id whoever tells it."""
    source: Literal["webhook", "reconciler"] = "webhook" if end.reason == "webhook" else "reconciler"
    finished = RoomFinished(
        meeting_id=end.meeting_id,
        started_at=end.started_at,
        ended_at=end.ended_at,
        room_sid=end.room_sid,
        source=source,
        reason=end.reason,
    )
    event = domain_event(room_finished_id(end.room_sid), ROOM_FINISHED, end.ended_at, finished)
    return OutboundEvent(event=event, source=source, meeting_id=end.meeting_id, room_sid=end.room_sid)


def check_finished(webhook: Webhook) -> None:
    """Whether a `room_finished` can become an event.

    Raises:
        NoEventError: it names no room, or one that can't be a meeting.
    """
    room = webhook.room
    if room is None or not room.sid or not room.name:
        raise NoEventError("room_incomplete")
    if not is_meeting(room.sid, room.name):
        raise NoEventError("room_name_is_no_meeting_id")


def kept_metadata(metadata: str) -> str | None:
    """What is kept of a room's metadata, as text that PostgreSQL takes: all of it, unless it is larger than any of ours."""
    text = clean_text(metadata)
    return text if 0 < len(text.encode()) <= MAX_METADATA_BYTES else None


def is_meeting(room_sid: str, room_name: str) -> bool:
    """Whether a room of this sid and name can be a meeting."""
    return _is_id(room_sid) and _is_id(room_name)


def _tell(
    rooms: Collection[RoomFacts], last: RoomFacts, ended_at: datetime, reason: Reason, grace: timedelta
) -> Judgement:
    meeting = meeting_until(rooms, last, grace)
    started_at = meeting[-1].started_at
    end = MeetingEnd(
        meeting_id=last.name,
        room_sid=last.sid,
        started_at=started_at,
        ended_at=max(ended_at, started_at),
        reason=reason,
    )
    finished = replace(last, finished_at=end.ended_at)
    return Judgement(changed=tuple(_told(room, last.sid) for room in (finished, *meeting[1:])), end=end)


def _told(room: RoomFacts, by: str) -> RoomFacts:
    """Nothing is asked of its metadata any more, which holds an application's own words."""
    return replace(room, told_by=by, metadata=None, missing_since=None)


def _goes_on_in(room: RoomFacts, heir: RoomFacts, grace: timedelta) -> bool:
    return room.finished_at is None and heir.started_at - room.seen_at <= grace


def _previous(rooms: Collection[RoomFacts], room: RoomFacts) -> RoomFacts | None:
    return max((each for each in rooms if _order(each) < _order(room)), key=_order, default=None)


def _next(rooms: Collection[RoomFacts], room: RoomFacts) -> RoomFacts | None:
    return min((each for each in rooms if _order(each) > _order(room)), key=_order, default=None)


def _order(room: RoomFacts) -> tuple[datetime, str]:
    return (room.started_at, room.sid)


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _is_id(text: str) -> bool:
    try:
        check_id(text, "id")
    except ValueError:
        return False
    return True
