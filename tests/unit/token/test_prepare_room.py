"""The room is right whoever comes first, whatever lives there already, and whoever else is at it."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.unit.token.fake_rooms import FakeClock, FakeRoom, FakeRooms

from meetai_contracts.room import AgentData, MeetingData, RoomMetadata, parse_room_metadata, write_room_metadata
from meetai_servicekit.dispatches import DISPATCH_SETTLES_SECONDS
from meetai_token.domain.errors import MetadataTooLargeError, RoomsUnavailableError
from meetai_token.domain.rooms import DEFAULT_AGENT, RoomWish, default_meeting_name
from meetai_token.usecases import PrepareRoom, prepare_room

ID = "standup"
CLARA = AgentData(name="Clara", instructions="Be brief.")


class World:
    """The use case over fakes."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rooms = FakeRooms(self.clock)
        self.prepare = PrepareRoom(self.rooms, agent_name="meetai", now=self.clock)

    def live_room(self, *, agents: int, metadata: str) -> None:
        self.rooms.rooms[ID] = FakeRoom(metadata, agents=agents)

    def other_process_dispatches(self) -> None:
        self.rooms.add_dispatch(ID, "meetai")

    @property
    def room(self) -> FakeRoom:
        return self.rooms.rooms[ID]

    @property
    def known(self) -> RoomMetadata:
        return parse_room_metadata(self.room.metadata)


@pytest.fixture
def world() -> World:
    return World()


def metadata(name: str = "Standup", agent: AgentData | None = CLARA) -> str:
    return write_room_metadata(RoomMetadata(v=1, meeting_data=MeetingData(id=ID, name=name), agent_data=agent))


async def test_room_is_made_whole_when_nobody_was_there(world: World) -> None:
    """One call makes it, with metadata and dispatch; the rest only looks."""
    setup = await world.prepare(RoomWish(ID, "Standup", CLARA))
    assert (setup.metadata, setup.agent_name) == (metadata(), "meetai")
    assert world.room.metadata == metadata()
    assert len(world.room.dispatches) == 1
    assert world.rooms.calls == ["create", "has_agent", "list_dispatches"]


async def test_defaults_fill_the_room_when_the_caller_has_no_wish(world: World) -> None:
    """The meeting goes by its id, with the default agent."""
    await world.prepare(RoomWish(ID))
    assert (world.known.meeting_data.name, world.known.agent_data) == (ID, DEFAULT_AGENT)


async def test_room_has_no_agent_when_the_caller_wants_none(world: World) -> None:
    """No dispatch, and metadata that doesn't speak of an agent."""
    setup = await world.prepare(RoomWish(ID, agent=None))
    assert setup.agent_name is None
    assert world.known.agent_data is None
    assert world.room.dispatches == []


async def test_metadata_is_changed_when_a_live_room_has_other(world: World) -> None:
    """The caller's wish wins over what was said before."""
    world.live_room(agents=1, metadata=metadata("Old name"))
    await world.prepare(RoomWish(ID, "Standup", CLARA))
    assert world.room.metadata == metadata()
    assert world.room.dispatches == []


@pytest.mark.parametrize("known", [metadata(), metadata(agent=None)])
async def test_live_room_is_left_alone_when_the_caller_has_no_wish(world: World, known: str) -> None:
    """The second person's token call, which doesn't repeat the agent, changes nothing; nor does it bring an agent."""
    world.live_room(agents=1, metadata=known)
    setup = await world.prepare(RoomWish(ID))
    assert setup.metadata == world.room.metadata == known
    assert "set_metadata" not in world.rooms.calls
    assert world.room.dispatches == []


async def test_live_room_is_left_alone_when_it_says_the_same_in_other_words(world: World) -> None:
    """Another order, white space or a field from a newer version is no reason to write."""
    same = metadata().replace('"v":1,', '"v": 1, "tomorrow": true, ')
    world.live_room(agents=1, metadata=same)
    await world.prepare(RoomWish(ID, "Standup", CLARA))
    assert world.room.metadata == same


@pytest.mark.parametrize("stranger", ["hello", "{}", '{"v":2}', "[" * 100_000])
async def test_metadata_is_replaced_when_it_is_not_ours(world: World, stranger: str) -> None:
    """A room may have been made by someone else."""
    world.live_room(agents=1, metadata=stranger)
    await world.prepare(RoomWish(ID))
    assert world.known.agent_data == DEFAULT_AGENT


async def test_forgotten_metadata_is_left_to_who_knows_it_when_nobody_has_a_wish(world: World) -> None:
    """webhook-bridge gives it back to a room that a restarted SFU made empty; defaults would stand in its way. The agent comes."""
    world.live_room(agents=0, metadata="")
    setup = await world.prepare(RoomWish(ID))
    assert (world.room.metadata, setup.agent_name) == ("", "meetai")
    assert len(world.room.dispatches) == 1
    assert (await world.prepare(RoomWish(ID, agent=CLARA))).metadata == metadata(name=ID)


@pytest.mark.parametrize("wish", [RoomWish(ID), RoomWish(ID, meeting_name="Standup"), RoomWish(ID, agent=CLARA)])
async def test_forgotten_metadata_is_told_again_when_it_is_remembered(world: World, wish: RoomWish) -> None:
    """Whole, whatever part of it is wished for again."""
    await world.prepare(RoomWish(ID, "Standup", CLARA))
    world.live_room(agents=1, metadata="")
    assert (await world.prepare(wish)).metadata == world.room.metadata == metadata()


async def test_nothing_old_is_told_when_it_was_long_ago(world: World) -> None:
    """The meeting of the same name may be another one by now."""
    await world.prepare(RoomWish(ID, "Standup", CLARA))
    world.live_room(agents=1, metadata="")
    world.clock.advance(prepare_room.REMEMBERED_SECONDS)
    await world.prepare(RoomWish(ID))
    assert world.room.metadata == ""


async def test_agent_is_dispatched_when_a_live_room_lacks_it(world: World) -> None:
    """LiveKit doesn't bring back an agent that died."""
    world.live_room(agents=0, metadata=metadata())
    with capture_logs() as logs:
        await world.prepare(RoomWish(ID))
    assert len(world.room.dispatches) == 1
    assert [line["event"] for line in logs] == ["agent_dispatched"]


async def test_agent_is_not_dispatched_again_when_it_is_on_its_way(world: World) -> None:
    """The second caller comes before the agent does."""
    await world.prepare(RoomWish(ID))
    world.clock.advance(DISPATCH_SETTLES_SECONDS - 0.1)
    await world.prepare(RoomWish(ID))
    assert len(world.room.dispatches) == 1


async def test_agent_is_dispatched_again_when_a_dispatch_came_to_nothing(world: World) -> None:
    """No worker was there: the dispatch stays listed for ever, and never gets a job."""
    await world.prepare(RoomWish(ID))
    world.clock.advance(DISPATCH_SETTLES_SECONDS)
    await world.prepare(RoomWish(ID))
    assert len(world.room.dispatches) == 2


async def test_agent_is_sent_away_when_the_caller_wants_none_any_more(world: World) -> None:
    """An explicit null on a live room takes the dispatches back."""
    await world.prepare(RoomWish(ID, agent=CLARA))
    await world.prepare(RoomWish(ID, agent=None))
    assert world.room.dispatches == []
    assert world.known.agent_data is None


async def test_dispatch_happens_once_when_callers_race(world: World) -> None:
    """A hundred callers of two kinds find a live room without its agent."""
    world.live_room(agents=0, metadata=metadata())
    wishes = [RoomWish(ID), RoomWish(ID, "Standup", CLARA)] * 50
    await asyncio.gather(*(world.prepare(wish) for wish in wishes))
    assert len(world.room.dispatches) == 1
    assert world.rooms.calls.count("create") == 2  # callers with the same wish share one run


async def test_younger_dispatch_is_withdrawn_when_another_process_dispatched_first(world: World) -> None:
    """The other process dispatched after we looked and before we did."""
    world.live_room(agents=0, metadata=metadata())
    world.rooms.between["dispatch"] = world.other_process_dispatches
    await world.prepare(RoomWish(ID))
    assert [dispatch.id for _, dispatch in world.room.dispatches] == ["AD_0001"]


async def test_older_dispatch_stays_when_another_process_dispatched_second(world: World) -> None:
    """We were first; the other process withdraws its own."""
    world.live_room(agents=0, metadata=metadata())
    then = {"list_dispatches": world.other_process_dispatches}
    world.rooms.between["dispatch"] = lambda: world.rooms.between.update(then)
    await world.prepare(RoomWish(ID))
    assert [dispatch.id for _, dispatch in world.room.dispatches] == ["AD_0001", "AD_0002"]
    assert "withdraw" not in world.rooms.calls


async def test_two_processes_leave_one_dispatch_when_both_race() -> None:
    """Two use cases over the same rooms: whoever made the younger dispatch takes it back."""
    world = World()
    other = PrepareRoom(world.rooms, agent_name="meetai", now=world.clock)
    world.live_room(agents=0, metadata=metadata())
    await asyncio.gather(world.prepare(RoomWish(ID)), other(RoomWish(ID)))
    assert world.rooms.calls.count("dispatch") == 2
    assert [dispatch.id for _, dispatch in world.room.dispatches] == ["AD_0001"]


async def test_run_goes_on_when_the_caller_who_began_it_leaves(world: World) -> None:
    """Its client hung up; the others still get their room."""
    first = asyncio.create_task(world.prepare(RoomWish(ID)))
    second = asyncio.create_task(world.prepare(RoomWish(ID)))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
    assert world.rooms.calls.count("create") == 1


async def test_failure_is_told_when_livekit_is_away(world: World) -> None:
    """And the next caller tries anew."""
    world.rooms.away = True
    with pytest.raises(RoomsUnavailableError):
        await world.prepare(RoomWish(ID))
    world.rooms.away = False
    await world.prepare(RoomWish(ID))


async def test_failure_is_told_in_time_when_livekit_is_silent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All callers of a room share the budget; nobody waits behind another's wait."""
    monkeypatch.setattr(prepare_room, "ROOM_BUDGET_SECONDS", 0.05)
    world.rooms.silent = True
    wishes = [RoomWish(ID), RoomWish(ID, agent=None), *(RoomWish(ID, f"Standup {number}") for number in range(200))]
    async with asyncio.timeout(5):  # one after another they would take twice that
        outcomes = await asyncio.gather(*(world.prepare(wish) for wish in wishes), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {RoomsUnavailableError}


def test_budgets_leave_room_for_an_answer_when_livekit_is_silent() -> None:
    """Issue 6: an answer within 2 s, whoever waits for what."""
    assert prepare_room.AGENT_BUDGET_SECONDS < prepare_room.ROOM_BUDGET_SECONDS <= 1.7


async def test_wish_counts_as_fulfilled_when_livekit_is_away_and_it_was_a_while_ago(world: World) -> None:
    """The next person of a meeting that is going on gets in; whoever asks for something else, or of another, doesn't."""
    setup = await world.prepare(RoomWish(ID, "Standup", CLARA))
    world.rooms.away = True
    world.clock.advance(prepare_room.REMEMBERED_SECONDS - 1)
    for fulfilled in (RoomWish(ID), RoomWish(ID, "Standup"), RoomWish(ID, "Standup", CLARA)):
        assert await world.prepare(fulfilled) == setup
    for unknown in (RoomWish(ID, "Another"), RoomWish(ID, agent=None), RoomWish("elsewhere")):
        with pytest.raises(RoomsUnavailableError):
            await world.prepare(unknown)
    world.clock.advance(1)
    with pytest.raises(RoomsUnavailableError):
        await world.prepare(RoomWish(ID))


async def test_rooms_are_remembered_within_bounds_when_there_are_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was right the longest ago is forgotten first."""
    monkeypatch.setattr(prepare_room, "REMEMBERED_ROOMS", 2)
    for meeting_id in ("a", "b", "a", "c"):
        await world.prepare(RoomWish(meeting_id))
    world.rooms.away = True
    for meeting_id in ("a", "c"):
        await world.prepare(RoomWish(meeting_id))
    with pytest.raises(RoomsUnavailableError):
        await world.prepare(RoomWish("b"))


@pytest.mark.parametrize("broken", ["has_agent", "list_dispatches", "dispatch"])
async def test_caller_without_a_wish_gets_in_when_only_the_agent_cannot_be_seen_to(world: World, broken: str) -> None:
    """The room is live and knows its meeting; who wants a certain agent has to ask again."""
    world.live_room(agents=0, metadata=metadata())
    world.rooms.broken = {broken}
    assert (await world.prepare(RoomWish(ID))).metadata == metadata()
    with pytest.raises(RoomsUnavailableError):
        await world.prepare(RoomWish(ID, "Standup", CLARA))


async def test_caller_without_a_wish_gets_in_when_the_agents_calls_are_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that answers nothing costs the agent's share of the budget, not the token."""
    monkeypatch.setattr(prepare_room, "AGENT_BUDGET_SECONDS", 0.05)
    monkeypatch.setattr(prepare_room, "ROOM_BUDGET_SECONDS", 30)
    world.live_room(agents=0, metadata=metadata())
    world.rooms.between["has_agent"] = lambda: setattr(world.rooms, "silent", True)
    async with asyncio.timeout(10):
        assert (await world.prepare(RoomWish(ID))).metadata == metadata()


async def test_nothing_is_made_when_instructions_do_not_fit(world: World) -> None:
    """12,000 characters may be 36,000 bytes; the room's metadata holds 16 KiB."""
    with pytest.raises(MetadataTooLargeError):
        await world.prepare(RoomWish(ID, agent=AgentData(name="Clara", instructions="語" * 12_000)))
    assert world.rooms.calls == []


def test_meeting_has_a_name_when_its_id_is_blank() -> None:
    """Ids may be blank, names may not."""
    assert default_meeting_name("\u00a0 ") == "Meeting"
