"""What a look at LiveKit's rooms leads to: ends that are supplied, rooms that are adopted, agents that are sent for."""

from __future__ import annotations

import itertools
from datetime import timedelta
from functools import partial

import pytest
from tests.unit.webhook_bridge.fake_rooms import FakeRooms
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox
from tests.unit.webhook_bridge.webhooks import metadata

from meetai_servicekit.dispatches import DISPATCH_SETTLES_SECONDS
from meetai_webhook_bridge.domain.agents import DISPATCH, MAX_DISPATCHES, STEADY
from meetai_webhook_bridge.domain.errors import LiveKitAwayError, StoreAwayError
from meetai_webhook_bridge.domain.meetings import GRACE, RoomFacts, hear
from meetai_webhook_bridge.domain.webhooks import Room, Webhook
from meetai_webhook_bridge.usecases.reconcile import Reconcile
from meetai_webhook_bridge.usecases.watch_agents import WatchAgents

GRACE_SECONDS = GRACE.total_seconds()
WANTED = metadata("standup")


class Site:
    """The use cases over fakes, and what a test does around them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rooms = FakeRooms(self.clock)
        self.register = MemoryInbox(self.clock)
        self.measures = FakeMeasures()
        self.wakes = 0
        self._reconcile = Reconcile(
            register=self.register,
            rooms=self.rooms,
            measures=self.measures,
            grace=GRACE,
            now=self.clock.now,
            wake_relay=self._wake,
        )
        self._watch_agents = WatchAgents(
            rooms=self.rooms, measures=self.measures, agent_name="meetai", now=self.clock.now, random=lambda: 0.0
        )

    async def look(self, after_seconds: float = 3) -> None:
        self.clock.advance(after_seconds)
        await self._watch_agents.look(await self._reconcile.look())

    async def announce(self, sid: str, *, name: str = "standup") -> None:
        """LiveKit's `room_started` comes in."""
        now = self.clock.now()
        told = RoomFacts(sid=sid, name=name, started_at=now, seen_at=now, announced_at=now)
        of_room = Room(sid=sid, name=name, created_at=now)
        number = len(self.register.webhooks)
        webhook = Webhook(id=f"EV_{number}", event="room_started", created_at=now, room=of_room, body={})
        await self.register.accept(webhook, None, told)

    async def finish(self, sid: str, *, name: str = "standup") -> None:
        """LiveKit's `room_finished` comes in."""
        now = self.clock.now()
        told = RoomFacts(sid=sid, name=name, started_at=now, seen_at=now, finished_at=now)
        await self.register.revise(name, partial(hear, told=told, grace=GRACE))

    def ends(self) -> list[str]:
        return [row.outbound.event.id for row in self.register.rows.values()]

    def dispatches(self, name: str = "standup") -> int:
        return len(self.rooms.dispatches.get(name, []))

    def _wake(self) -> None:
        assert self.register.rows, "woken before it was stored"
        self.wakes += 1


@pytest.fixture
def site() -> Site:
    return Site()


async def test_an_end_is_supplied_when_livekit_has_forgotten_a_room(site: Site) -> None:
    """After the grace period, once, and the relay is woken."""
    site.rooms.open("standup", "RM_1")
    await site.announce("RM_1")
    await site.look()
    site.rooms.close("standup")
    await site.look()
    await site.look(GRACE_SECONDS - 1)
    assert site.ends() == []
    await site.look(2)
    await site.look(GRACE_SECONDS)
    assert site.ends() == ["livekit-room_finished-RM_1"]
    assert site.wakes == 1
    (row,) = site.register.rows.values()
    assert row.outbound.source == row.outbound.event.data["source"] == "reconciler"


async def test_a_room_is_picked_up_when_it_was_never_announced(site: Site) -> None:
    """Its end is supplied like any other's; a room whose name can't be a meeting's is left alone."""
    site.rooms.open("standup", "RM_1")
    site.rooms.open("bell\a", "RM_2")
    await site.look()
    assert site.measures.mended == ["announced"]
    site.rooms.close("standup")
    site.rooms.close("bell\a")
    await site.look()
    await site.look(GRACE_SECONDS)
    assert site.ends() == ["livekit-room_finished-RM_1"]


async def test_a_room_is_not_unannounced_when_it_was_made_during_the_look(site: Site) -> None:
    """Its webhook was stored after the open rooms were read and before LiveKit's were."""

    async def made() -> None:
        site.rooms.open("standup", "RM_1")
        await site.announce("RM_1")

    site.rooms.meanwhile = made
    await site.look()
    assert [room.sid for room in await site.register.open_rooms()] == ["RM_1"]
    assert site.measures.mended == []


async def test_a_room_is_not_unannounced_when_its_end_was_told(site: Site) -> None:
    """It is open no more, and LiveKit may list it for a while."""
    site.rooms.open("standup", "RM_1")
    await site.announce("RM_1")
    await site.finish("RM_1")
    await site.look()
    assert site.measures.mended == []


async def test_metadata_is_made_storable_when_a_room_has_some_that_is_not(site: Site) -> None:
    """Anybody who may make rooms may give them any; what is kept is what its webhook would have said."""
    site.rooms.open("standup", "RM_1", metadata="a\0b")
    site.rooms.open("empty", "RM_2", people=0, metadata="a\0b")
    site.rooms.node_dies("empty")
    await site.look()
    await site.look()
    assert [room.metadata for room in site.register.rooms.values()] == ["a\ufffdb", "a\ufffdb"]
    assert site.measures.refused == 0


async def test_a_look_goes_on_when_the_store_refuses_a_room(site: Site) -> None:
    """Whether it is alive, silent or gone; what can be done without the store is."""
    for number in range(3):
        site.rooms.open(f"gone {number}", f"RM_{number}", people=0)
    await site.look()
    for number in range(3):
        site.rooms.close(f"gone {number}")
        site.rooms.open(f"silent {number}", f"RM_{number + 3}")
        site.rooms.node_dies(f"silent {number}")
        site.rooms.open(f"alive {number}", f"RM_{number + 6}", metadata=WANTED)
    site.register.refuses = {"RM_1", "RM_4", "RM_7"}
    await site.look()
    assert site.measures.refused == 3
    assert [site.dispatches(f"alive {number}") for number in range(3)] == [1, 1, 1]
    await site.look(GRACE_SECONDS)
    assert site.ends() == ["livekit-room_finished-RM_0", "livekit-room_finished-RM_2"]
    assert site.rooms.adopted == ["silent 0", "silent 2"]
    assert {"RM_6", "RM_8"} <= set(site.register.rooms)


async def test_nothing_is_judged_while_livekit_is_away(site: Site) -> None:
    """However long: nothing is known of its rooms. The grace period begins when it answers."""
    site.rooms.open("standup", "RM_1")
    await site.look()
    site.rooms.is_away = True
    for _ in range(3):
        with pytest.raises(LiveKitAwayError):
            await site.look(GRACE_SECONDS)
    site.rooms.is_away = False
    site.rooms.close("standup")
    await site.look()
    assert site.ends() == []


async def test_nothing_is_judged_while_the_store_is_away(site: Site) -> None:
    """And nothing is lost by it."""
    site.rooms.open("standup", "RM_1")
    await site.look()
    site.register.is_away = True
    with pytest.raises(StoreAwayError):
        await site.look()


async def test_a_dead_room_is_adopted_when_the_grace_period_is_over(site: Site) -> None:
    """Its end is LiveKit's to tell then, so none is supplied; a room that is only empty is left alone."""
    site.rooms.open("standup", "RM_1")
    site.rooms.open("empty", "RM_2", people=0)
    await site.look()
    site.rooms.node_dies("standup")
    await site.look()
    assert site.measures.looks[-1] == (1, 1)
    await site.look(GRACE_SECONDS - 1)
    assert site.rooms.adopted == []
    await site.look(2)
    await site.look()
    assert site.rooms.adopted == ["standup"]
    assert site.ends() == []


async def test_metadata_is_restored_when_a_restarted_server_has_forgotten_it(site: Site) -> None:
    """From the room before, once; and the agent that it wants is sent for."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    site.rooms.agent_joins("standup")
    await site.look()
    site.rooms.agents.clear()
    site.rooms.open("standup", "RM_2")
    await site.announce("RM_2")
    await site.look()
    await site.look()
    assert site.rooms.listed["standup"].metadata == WANTED
    assert site.measures.mended.count("metadata_restored") == 1
    assert site.dispatches() == 1


async def test_metadata_is_left_alone_when_somebody_emptied_it(site: Site) -> None:
    """The same room had some before: that is no forgetting."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    await site.look()
    await site.rooms.set_metadata("standup", "")
    await site.look()
    assert site.rooms.listed["standup"].metadata == ""


async def test_an_agent_is_sent_for_at_once_when_the_last_one_has_gone(site: Site) -> None:
    """And not again while it is on its way."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    site.rooms.agent_joins("standup")
    await site.look()
    assert site.dispatches() == 0
    site.rooms.agents.clear()
    await site.look()
    assert site.dispatches() == 1
    assert site.measures.missing_agents == (1, 0)
    await site.look(DISPATCH_SETTLES_SECONDS - 1)
    assert site.dispatches() == 1
    site.rooms.agent_joins("standup")
    await site.look()
    await site.look(60)
    assert site.dispatches() == 1
    assert site.measures.missing_agents == (0, 0)


async def test_no_agent_is_sent_for_when_one_was_just_asked_for_elsewhere(site: Site) -> None:
    """The token service did, moments ago; when nothing comes of it, the watcher does."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    await site.rooms.dispatch("standup", "meetai")
    await site.look()
    assert site.dispatches() == 1
    await site.look(DISPATCH_SETTLES_SECONDS)
    assert site.dispatches() == 2


@pytest.mark.parametrize("text", ["", "not json", metadata("standup", with_agent=False)])
async def test_no_agent_is_sent_for_when_the_room_wants_none(site: Site, text: str) -> None:
    """Nor where it was sent away, which the metadata says."""
    site.rooms.open("standup", "RM_1", metadata=text)
    await site.look()
    await site.look(60)
    assert site.dispatches() == 0
    assert site.measures.missing_agents == (0, 0)


async def test_no_agent_is_sent_for_when_nobody_is_there(site: Site) -> None:
    """It would talk to itself."""
    site.rooms.open("standup", "RM_1", people=0, metadata=WANTED)
    await site.look()
    assert site.dispatches() == 0


async def test_a_ghost_is_no_agent_when_another_node_has_taken_the_room_over(site: Site) -> None:
    """It joined before the room's latest start; LiveKit lists it for ever."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    site.rooms.agent_joins("standup")
    await site.look()
    await site.announce("RM_1")
    await site.look()
    assert site.dispatches() == 1


async def test_dispatches_come_slower_and_end_when_no_agent_comes(site: Site) -> None:
    """With backoff up to the limit, then given up, and counted."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    for _ in range(3 * MAX_DISPATCHES):
        await site.look(DISPATCH.limit_seconds / 2 + 1)
    assert site.dispatches() == MAX_DISPATCHES
    made = [each.created_at for each in site.rooms.dispatches["standup"]]
    waits = [after - before for before, after in itertools.pairwise(made)]
    assert max(waits) <= timedelta(seconds=2 * DISPATCH.limit_seconds)
    assert site.measures.missing_agents == (0, 1)


async def test_the_count_begins_anew_when_an_agent_has_stayed(site: Site) -> None:
    """One that comes and goes at once is not sent for faster and faster."""
    site.rooms.open("standup", "RM_1", metadata=WANTED)
    for _ in range(8):
        await site.look(DISPATCH_SETTLES_SECONDS)
        site.rooms.agent_joins("standup")
        await site.look()
        site.rooms.agents.clear()
    made = site.dispatches()
    assert made < 8
    site.rooms.agent_joins("standup")
    await site.look()
    await site.look(STEADY.total_seconds())
    site.rooms.agents.clear()
    await site.look()
    assert site.dispatches() == made + 1
