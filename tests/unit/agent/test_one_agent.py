"""When an agent asks the others, and what it does about what they say; the rule itself is in `test_fence_model`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.waiting import until

from meetai_agent.domain.fence import Stand
from meetai_agent.usecases import one_agent as one_agent_module
from meetai_agent.usecases.one_agent import OneAgent


class Room:
    """`ports.OtherAgents` as a test plays them: each answers what it is told to, None for a ghost."""

    def __init__(self) -> None:
        self.others: dict[str, Stand | None] = {}
        self.asked: list[tuple[str, Stand]] = []
        self.answer: Callable[[Stand], Stand] = lambda stand: stand
        self.came: Callable[[str], None] = lambda identity: None
        self.returned: Callable[[], None] = lambda: None
        self.slow = asyncio.Event()
        self.slow.set()

    def start(
        self, *, answer: Callable[[Stand], Stand], came: Callable[[str], None], returned: Callable[[], None]
    ) -> None:
        self.answer, self.came, self.returned = answer, came, returned

    def present(self) -> frozenset[str]:
        return frozenset(self.others)

    async def ask(self, identity: str, mine: Stand) -> Stand | None:
        self.asked.append((identity, mine))
        await self.slow.wait()
        return self.others.get(identity)


class Bench:
    def __init__(self) -> None:
        self.room = Room()
        self.left = 0
        self.agent = OneAgent(self.room, identity="me", since_ms=5, leave=self._leave)

    def _leave(self) -> None:
        self.left += 1


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(one_agent_module, "AGAIN_SECONDS", 0.01)
    before = asyncio.all_tasks()
    bench = Bench()
    yield bench
    await bench.agent.aclose()
    assert asyncio.all_tasks() <= before | {task for task in [asyncio.current_task()] if task}, "tasks are left"


async def test_it_serves_at_once_when_it_is_alone(bench: Bench) -> None:
    """Nobody is asked."""
    assert await bench.agent.settle()
    assert bench.room.asked == []


async def test_it_leaves_once_when_another_serves(bench: Bench) -> None:
    """The job is ended, and who asks now is told that it leaves."""
    bench.room.others = {"ghost": None, "other": Stand("other", 9, "serving")}
    assert not await bench.agent.settle()
    assert bench.left == 1
    assert bench.room.answer(Stand("late", 10, "asking")).state == "leaving"
    assert bench.left == 1


async def test_it_serves_when_only_ghosts_are_there(bench: Bench) -> None:
    """Not before each has been asked in vain."""
    bench.room.others = {"ghost": None, "spectre": None}
    bench.room.slow.clear()
    settling = asyncio.create_task(bench.agent.settle())
    await until(lambda: len(bench.room.asked) == 2)
    assert not settling.done()
    bench.room.slow.set()
    assert await settling


async def test_it_serves_when_the_one_it_asks_leaves_the_room(bench: Bench) -> None:
    """Whoever is gone needn't answer."""
    bench.room.others = {"other": Stand("other", 1, "asking")}
    bench.room.slow.clear()
    settling = asyncio.create_task(bench.agent.settle())
    await until(lambda: len(bench.room.asked) == 1)
    bench.room.others = {}
    bench.room.slow.set()
    assert await settling


async def test_it_leaves_when_an_older_one_awakes_that_serves_too(bench: Bench) -> None:
    """Asking goes on while another is in the room, and answers what a lost message has spoiled."""
    bench.room.others = {"frozen": None}
    assert await bench.agent.settle()
    bench.room.others = {"frozen": Stand("frozen", 1, "serving")}
    await until(lambda: bench.left == 1)


async def test_a_newcomer_is_told_who_serves_when_it_comes(bench: Bench) -> None:
    """Before it has asked."""
    assert await bench.agent.settle()
    bench.room.others = {"newcomer": Stand("newcomer", 9, "leaving")}
    bench.room.came("newcomer")
    await until(lambda: ("newcomer", Stand("me", 5, "serving")) in bench.room.asked)
    assert bench.left == 0


async def test_it_leaves_when_another_serves_on_its_return(bench: Bench) -> None:
    """Its connection was lost for so long that a younger one took its place: that one has heard what was said."""
    bench.room.others = {"ghost": None}
    assert await bench.agent.settle()
    bench.room.others = {"successor": Stand("successor", 9, "serving")}
    bench.room.returned()
    await until(lambda: bench.left == 1)


async def test_it_goes_on_serving_when_it_returns_to_a_room_without_agents(bench: Bench) -> None:
    """As after a restart of the SFU."""
    assert await bench.agent.settle()
    bench.room.returned()
    assert bench.room.answer(Stand("late", 9, "asking")).state == "serving"


async def test_nobody_waits_for_it_when_it_has_begun_to_close(bench: Bench) -> None:
    """It still has to flush; another that asks may serve."""
    assert await bench.agent.settle()
    await bench.agent.aclose()
    assert bench.room.answer(Stand("late", 9, "asking")).state == "leaving"
    assert bench.left == 0, "it is ending already"
