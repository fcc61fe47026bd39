"""A model of meetings, LiveKit's crashes, and webhooks that are lost, doubled and reordered: one event a meeting."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from meetai_webhook_bridge.domain.meetings import (
    GRACE,
    Judgement,
    MeetingEnd,
    RoomFacts,
    hear,
    judge_missing,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GRACE_SECONDS = int(GRACE.total_seconds())


class TrueRoom(msgspec.Struct, frozen=True):
    """A room as it really was. `crashed`: LiveKit never said that it ended."""

    sid: str
    meeting: int
    started: int
    ended: int
    crashed: bool


@st.composite
def histories(draw: st.DrawFn) -> list[TrueRoom]:
    """Meetings under one name, one after the other; each of one room, or of several that follow crashes."""
    rooms: list[TrueRoom] = []
    clock = 0
    for meeting in range(draw(st.integers(1, 4))):
        for _ in range(draw(st.integers(0, 3))):  # crashes during it
            lasted = draw(st.integers(1, 600))
            rooms.append(TrueRoom(f"RM_{len(rooms)}", meeting, clock, clock + lasted, True))
            clock += lasted + draw(st.integers(1, GRACE_SECONDS))
        lasted, last_crashes = draw(st.integers(1, 600)), draw(st.booleans())
        rooms.append(TrueRoom(f"RM_{len(rooms)}", meeting, clock, clock + lasted, last_crashes))
        clock += lasted + draw(st.integers(2 * GRACE_SECONDS + 10, 3600))
    return rooms


def moment(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def words(room: TrueRoom) -> list[tuple[int, RoomFacts]]:
    """What LiveKit says of a room, each at its time: it began, somebody came, it ended unless it crashed."""

    def told(second: int, *, finished: bool = False) -> RoomFacts:
        return RoomFacts(
            sid=room.sid,
            name="standup",
            started_at=moment(room.started),
            seen_at=moment(second),
            finished_at=moment(second) if finished else None,
        )

    said = [(room.started, told(room.started)), (room.ended, told(room.ended))]
    return said if room.crashed else [*said, (room.ended, told(room.ended, finished=True))]


class Bridge:
    """The judgements, over a register of one name."""

    def __init__(self) -> None:
        self.rooms: dict[str, RoomFacts] = {}
        self.ends: list[MeetingEnd] = []

    def hear(self, told: RoomFacts) -> None:
        self._follow(hear(list(self.rooms.values()), told, GRACE))

    def look(self, listed: set[str], now: datetime) -> None:
        """As the reconciler looks: what is open and not listed is judged."""
        for sid in [room.sid for room in self.rooms.values() if room.is_open and room.sid not in listed]:
            self._follow(judge_missing(list(self.rooms.values()), sid, now, GRACE))

    def _follow(self, judgement: Judgement) -> None:
        self.rooms.update({room.sid: room for room in judgement.changed})
        if judgement.end:
            self.ends.append(judgement.end)

    def check(self) -> None:
        """What holds whatever happened: every room's end is told, by one event, under a sid of its own or a later one's."""
        told = Counter(end.room_sid for end in self.ends)
        assert set(told.values()) <= {1}
        assert all(room.told_by in told for room in self.rooms.values())
        assert all(end.started_at <= end.ended_at for end in self.ends)


def look_until_all_is_told(bridge: Bridge, after: int) -> None:
    for seconds in (0, GRACE_SECONDS, 2 * GRACE_SECONDS):
        bridge.look(set(), moment(after + seconds))


@given(histories(), st.data())
def test_each_meeting_has_one_event_with_its_first_start_and_last_end(
    rooms: list[TrueRoom], data: st.DataObject
) -> None:
    """In order, any word but the first of a room lost, any doubled, with looks in between."""
    bridge = Bridge()
    said = [(at, told, room) for room in rooms for at, told in words(room)]
    looks = data.draw(st.lists(st.integers(0, rooms[-1].ended), max_size=12), label="looks")
    happenings = sorted([(at, 0, number) for number, (at, _, _) in enumerate(said)] + [(at, 1, 0) for at in looks])
    for at, kind, number in happenings:
        if kind == 1:
            bridge.look({room.sid for room in rooms if room.started <= at <= room.ended}, moment(at))
            continue
        _, told, room = said[number]
        may_be_lost = told.seen_at != moment(room.started) and told.finished_at is not None
        times = data.draw(st.sampled_from([0, 1, 2] if may_be_lost else [1, 2]), label="deliveries")
        for _ in range(times):
            bridge.hear(told)
    look_until_all_is_told(bridge, rooms[-1].ended + 1)
    bridge.check()
    expected: dict[int, tuple[TrueRoom, TrueRoom]] = {}
    for room in rooms:
        first = expected.get(room.meeting, (room, room))[0]
        expected[room.meeting] = (first, room)
    assert sorted((end.room_sid, end.started_at, end.ended_at) for end in bridge.ends) == sorted(
        (last.sid, moment(first.started), moment(last.ended)) for first, last in expected.values()
    )


@given(histories(), st.data())
def test_every_rooms_end_is_told_once_when_words_come_in_any_order(rooms: list[TrueRoom], data: st.DataObject) -> None:
    """Lost, doubled and reordered at will: no room is told twice and none that was heard of is forgotten."""
    bridge = Bridge()
    said = [told for room in rooms for _, told in words(room)]
    heard = data.draw(st.lists(st.sampled_from(said), max_size=3 * len(said)), label="heard")
    for told in heard:
        bridge.hear(told)
        if data.draw(st.booleans(), label="look"):
            bridge.look(set(), told.seen_at)
    look_until_all_is_told(bridge, rooms[-1].ended + 1)
    bridge.check()
    assert {room.sid for room in bridge.rooms.values()} == {told.sid for told in heard}


@given(histories(), st.data())
def test_every_room_that_livekit_finished_has_its_own_event_when_nothing_is_lost(
    rooms: list[TrueRoom], data: st.DataObject
) -> None:
    """In any order, with repeats: what LiveKit finished is told under its own sid, at its own end."""
    whole = [msgspec.structs.replace(room, crashed=False) for room in rooms]
    said = [told for room in whole for _, told in words(room)]
    bridge = Bridge()
    for told in data.draw(st.permutations(said), label="order"):
        bridge.hear(told)
        bridge.hear(told)
    bridge.check()
    assert {end.room_sid for end in bridge.ends} <= {room.sid for room in whole}
    absorbed = [room for room in bridge.rooms.values() if room.told_by != room.sid]
    assert all(room.finished_at for room in bridge.rooms.values() if room.told_by == room.sid)
    assert len(bridge.ends) + len(absorbed) == len(whole)
