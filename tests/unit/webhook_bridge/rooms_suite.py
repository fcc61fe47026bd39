"""What every register of rooms promises, the one in memory and the one in PostgreSQL alike."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import pytest
from msgspec.structs import replace

from meetai_webhook_bridge.domain.errors import RejectError
from meetai_webhook_bridge.domain.meetings import GRACE, Judgement, RoomFacts, hear, judge_missing
from meetai_webhook_bridge.domain.webhooks import Room, Webhook
from meetai_webhook_bridge.ports import Inbox, Outbox, RoomRegister

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Store(Inbox, Outbox, RoomRegister, Protocol):
    """All that the suite asks of a store."""


def facts(sid: str = "RM_1", *, name: str = "standup", after_seconds: float = 0, finished: bool = False) -> RoomFacts:
    at = AT + timedelta(seconds=after_seconds)
    return RoomFacts(sid=sid, name=name, started_at=at, seen_at=at, finished_at=at if finished else None, metadata="{}")


def webhook(webhook_id: str, told: RoomFacts) -> Webhook:
    event = "room_finished" if told.finished_at else "room_started"
    return Webhook(id=webhook_id, event=event, created_at=AT, room=Room(told.sid, told.name, AT), body={})


async def ends(store: Outbox) -> list[tuple[str, str]]:
    """Each end that was told: its id and who says so."""
    claimed = await store.claim_due(limit=100, lease_seconds=3600)
    return sorted((one.event.id, one.event.data["source"]) for one in claimed)


class RoomsSuite:
    """Subclasses give the fixture `store`."""

    async def test_a_room_is_open_until_its_end_is_told(self, store: Store) -> None:
        """The end comes with the webhook, as an event."""
        assert await store.accept(webhook("EV_1", facts()), None, facts())
        assert list(await store.open_rooms()) == [facts()]
        assert await store.accept(webhook("EV_2", facts(finished=True)), None, facts(finished=True))
        assert list(await store.open_rooms()) == []
        assert await ends(store) == [("livekit-room_finished-RM_1", "webhook")]

    async def test_nothing_is_judged_when_a_webhook_comes_again(self, store: Store) -> None:
        """Its room may have been told by another since."""
        assert await store.accept(webhook("EV_1", facts()), None, facts())
        assert not await store.accept(webhook("EV_1", facts(finished=True)), None, facts(finished=True))
        assert list(await store.open_rooms()) == [facts()]

    async def test_rooms_are_seen_together(self, store: Store) -> None:
        """Later than before, found again, and only while their end is not told."""
        for sid in ("RM_1", "RM_2"):
            await store.revise("standup", partial(hear, told=facts(sid), grace=GRACE))
        await store.revise("standup", partial(judge_missing, sid="RM_1", now=AT, grace=GRACE))
        later = AT + timedelta(seconds=5)
        await store.mark_seen(["RM_1"], later)
        await store.mark_seen(["RM_1", "RM_2"], AT)
        rooms = {room.sid: room for room in await store.open_rooms()}
        assert (rooms["RM_1"].seen_at, rooms["RM_1"].missing_since, rooms["RM_2"].seen_at) == (later, None, AT)

    async def test_one_end_is_told_when_a_late_webhook_races_the_reconciler(self, store: Store) -> None:
        """Whoever comes first; the other finds it told."""
        await store.revise("standup", partial(hear, told=facts(), grace=GRACE))
        await store.revise("standup", partial(judge_missing, sid="RM_1", now=AT, grace=GRACE))
        gone = partial(judge_missing, sid="RM_1", now=AT + GRACE, grace=GRACE)
        late = facts(finished=True)
        await asyncio.gather(store.revise("standup", gone), store.accept(webhook("EV_1", late), None, late))
        await store.revise("standup", gone)
        assert len(await ends(store)) == 1
        assert list(await store.open_rooms()) == []

    async def test_a_room_is_refused_when_it_cannot_be_stored(self, store: Store) -> None:
        """Nothing of it is; the next one is taken."""
        with pytest.raises(RejectError):
            await store.revise("standup", partial(hear, told=replace(facts(), metadata="\0"), grace=GRACE))
        await store.revise("retro", partial(hear, told=facts("RM_2", name="retro"), grace=GRACE))
        assert [room.sid for room in await store.open_rooms()] == ["RM_2"]

    async def test_judges_of_one_name_take_turns(self, store: Store) -> None:
        """Each sees what the one before it has stored."""
        seen: list[int] = []

        def judge(sid: str) -> partial[Judgement]:
            def count(known: list[RoomFacts], sid: str) -> Judgement:
                seen.append(len(known))
                return hear(known, facts(sid), GRACE)

            return partial(count, sid=sid)

        await asyncio.gather(*(store.revise("standup", judge(f"RM_{number}")) for number in range(6)))
        assert sorted(seen) == list(range(6))
        await store.revise("another", judge("RM_9"))
        assert seen[-1] == 0
