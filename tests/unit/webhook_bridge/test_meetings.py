"""Which rooms are one meeting, and when its end is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meetai_webhook_bridge.domain.meetings import (
    GRACE,
    Judgement,
    MeetingEnd,
    RoomFacts,
    facts_of,
    forgotten_metadata,
    hear,
    judge_missing,
    judge_silent,
    together,
)
from meetai_webhook_bridge.domain.webhooks import Room, Webhook

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def room(sid: str, started: float, seen: float | None = None, **known: object) -> RoomFacts:
    seen_at = at(started if seen is None else seen)
    return RoomFacts(sid=sid, name="standup", started_at=at(started), seen_at=seen_at, **known)  # type: ignore[arg-type]


def finished(sid: str, started: float, ended: float) -> RoomFacts:
    return room(sid, started, ended, finished_at=at(ended))


class Register:
    """All rooms of one name, as the judgements leave them."""

    def __init__(self, *rooms: RoomFacts) -> None:
        self.rooms = {each.sid: each for each in rooms}
        self.ends: list[MeetingEnd] = []

    def hear(self, told: RoomFacts) -> None:
        self._follow(hear(list(self.rooms.values()), told, GRACE))

    def miss(self, sid: str, now: float) -> None:
        self._follow(judge_missing(list(self.rooms.values()), sid, at(now), GRACE))

    def _follow(self, judgement: Judgement) -> None:
        self.rooms.update({each.sid: each for each in judgement.changed})
        if judgement.end:
            self.ends.append(judgement.end)

    def told(self) -> dict[str, str | None]:
        return {sid: each.told_by for sid, each in self.rooms.items()}


def end(sid: str, started: float, ended: float, reason: str = "webhook") -> MeetingEnd:
    return MeetingEnd("standup", sid, at(started), at(ended), reason)  # type: ignore[arg-type]


def test_a_rooms_end_is_told_once_when_two_webhooks_tell_it() -> None:
    """The second adds nothing."""
    register = Register(room("A", 0))
    register.hear(finished("A", 0, 600))
    register.hear(finished("A", 0, 601))
    assert register.ends == [end("A", 0, 600)]


def test_a_meeting_has_its_first_start_when_its_room_came_back_under_another_sid() -> None:
    """Also when it did so twice, and when webhooks of the lost rooms come late."""
    register = Register(room("A", 0, 100), room("B", 110, 200), room("C", 230))
    register.hear(room("A", 0, 101))
    register.hear(finished("C", 230, 600))
    assert register.ends == [end("C", 0, 600)]
    assert register.told() == {"A": "C", "B": "C", "C": "C"}
    register.hear(finished("A", 0, 102))
    assert len(register.ends) == 1


def test_rooms_are_two_meetings_when_the_first_was_finished() -> None:
    """However soon the next one began, and also when the word of it comes last."""
    register = Register(room("A", 0), room("B", 101))
    register.hear(finished("A", 0, 100))
    register.hear(finished("B", 101, 600))
    assert register.ends == [end("A", 0, 100), end("B", 101, 600)]


def test_rooms_are_two_meetings_when_more_than_the_grace_period_is_between_them() -> None:
    """The first has ended where it was last seen."""
    gap = GRACE.total_seconds() + 1
    register = Register(room("A", 0, 100), room("B", 100 + gap))
    register.miss("A", 200)
    register.miss("A", 200 + gap)
    register.hear(finished("B", 100 + gap, 600))
    assert register.ends == [end("A", 0, 100, "room_gone"), end("B", 100 + gap, 600)]


def test_a_missing_rooms_end_is_told_when_the_grace_period_is_over() -> None:
    """Not before, not twice, and a late webhook adds nothing."""
    register = Register(room("A", 0, 100))
    register.miss("A", 105)
    register.miss("A", 105 + GRACE.total_seconds() - 1)
    assert register.ends == []
    register.miss("A", 105 + GRACE.total_seconds())
    register.miss("A", 105 + 2 * GRACE.total_seconds())
    register.hear(finished("A", 0, 99))
    assert register.ends == [end("A", 0, 100, "room_gone")]


def test_the_grace_period_begins_anew_when_a_missing_room_is_seen() -> None:
    """A list that lied once doesn't count."""
    register = Register(room("A", 0, 100))
    register.miss("A", 105)
    register.hear(room("A", 0, 110))
    register.miss("A", 105 + GRACE.total_seconds())
    assert register.ends == []


def test_a_missing_room_is_left_to_the_one_in_which_its_meeting_goes_on() -> None:
    """Its end is that one's."""
    register = Register(room("A", 0, 100), room("B", 110))
    for now in (120, 500):
        register.miss("A", now)
    assert register.ends == []
    register.hear(finished("B", 110, 600))
    assert register.ends == [end("B", 0, 600)]


def test_a_room_is_part_of_a_meeting_that_was_told_when_it_comes_to_light_too_late() -> None:
    """One meeting, one event, although its start was told too late."""
    register = Register()
    register.hear(finished("B", 110, 600))
    register.hear(room("A", 0, 100))
    for now in (700, 800):
        register.miss("A", now)
    assert register.ends == [end("B", 110, 600)]
    assert register.told()["A"] == "B"


def test_facts_are_the_same_in_whatever_order_they_come() -> None:
    """A later word without metadata takes none away."""
    first = room("A", 0, 10, announced_at=at(0))
    second = room("A", 0, 20, announced_at=at(20), agent_joined_at=at(15), metadata="new")
    third = room("A", 0, 30)
    expected = room("A", 0, 30, announced_at=at(20), agent_joined_at=at(15), metadata="new")
    assert together(together(first, second), third) == expected
    assert together(together(third, first), second) == expected


def test_metadata_is_forgotten_when_the_end_is_told() -> None:
    """It holds an application's own words, and nothing asks for it any more; nor does a late webhook bring it back."""
    register = Register(room("A", 0, metadata="{}"))
    register.hear(finished("A", 0, 600))
    register.hear(room("A", 0, 601, metadata="{}"))
    assert register.rooms["A"].metadata is None


def test_metadata_is_restored_when_the_room_before_had_some() -> None:
    """And left alone where this room has had its own, or the one before was another meeting's."""
    before, after = room("A", 0, 100, metadata="{}"), room("B", 110)
    assert forgotten_metadata([before, after], "B", GRACE) == "{}"
    assert forgotten_metadata([before, room("B", 110, metadata="its own")], "B", GRACE) is None
    assert forgotten_metadata([finished("A", 0, 100), after], "B", GRACE) is None
    assert forgotten_metadata([before, room("B", 500)], "B", GRACE) is None
    assert forgotten_metadata([before], "B", GRACE) is None


def test_a_silent_room_is_adopted_when_the_grace_period_is_over() -> None:
    """And again a grace period later, should the first adoption have failed."""
    grace = GRACE.total_seconds()
    known, adopts = judge_silent(room("A", 0), at(10), GRACE)
    assert (known.missing_since, adopts) == (at(10), False)
    assert judge_silent(known, at(9 + grace), GRACE) == (known, False)
    known, adopts = judge_silent(known, at(10 + grace), GRACE)
    assert (known.missing_since, adopts) == (at(10 + grace), True)


@pytest.mark.parametrize(
    ("event", "of_room"),
    [
        ("track_published", Room("RM_1", "standup", NOON)),
        ("room_started", None),
        ("room_started", Room("", "standup", NOON)),
        ("room_started", Room("RM_1", "", NOON)),
        ("room_started", Room("RM_1", "bell\a", NOON)),
    ],
)
def test_a_webhook_says_nothing_of_a_meeting_when_it_is_not_of_a_rooms_life(event: str, of_room: Room | None) -> None:
    """Or of a room that can't be a meeting."""
    assert facts_of(Webhook(id="EV_1", event=event, created_at=NOON, room=of_room, body={})) is None


def test_an_agents_joining_is_a_fact_of_its_room() -> None:
    """Anybody else's is not."""
    of_room = Room("RM_1", "standup", NOON, metadata="x" * 20_000)
    joined = Webhook(id="EV_1", event="participant_joined", created_at=at(5), room=of_room, body={}, is_of_agent=True)
    assert facts_of(joined) == RoomFacts(
        sid="RM_1", name="standup", started_at=NOON, seen_at=at(5), agent_joined_at=at(5), metadata=None
    )
