"""One agent a room: before it hears anybody an agent asks the agents it finds, and goes on asking while there are others.

Owns when to ask and what follows from the answers; the rule is `domain/fence`. Asking again repairs what a lost answer or a
frozen process has spoiled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from meetai_agent.domain.fence import Fence, Stand
from meetai_agent.ports import OtherAgents

AGAIN_SECONDS: Final = 5.0

log = structlog.get_logger()


class OneAgent:
    """This job's place among the agents of its room.

    Args:
        others: The other agents of this system in the room.
        leave: Called once when another agent serves and this one has to go.
    """

    def __init__(self, others: OtherAgents, *, identity: str, since_ms: int, leave: Callable[[], None]) -> None:
        self._others = others
        self._leave = leave
        self._fence = Fence(Stand(identity, since_ms, "asking"))
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def settle(self) -> bool:
        """Ask the agents that are here. Returns whether this one serves; if not, another does, or did a moment ago."""
        self._others.start(answer=self._answer, came=self._watch, returned=self._enter)
        self._enter()
        while self._fence.mine.state == "asking":
            self._changed.clear()
            await self._changed.wait()
        return self._fence.mine.state == "serving"

    async def aclose(self) -> None:
        """This agent ends, whatever the reason: another that asks may serve at once."""
        self._fence = self._fence.left()
        self._changed.set()
        watching = list(self._watching.values())
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    def _enter(self) -> None:
        """Here, or here again after the connection was lost: meanwhile another may have come to serve."""
        present = self._others.present()
        self._take(self._fence.entered(present))
        for task in self._watching.values():
            task.cancel()
        self._watching.clear()
        for identity in present:
            self._watch(identity)

    def _answer(self, theirs: Stand) -> Stand:
        """Another has said where it stands: say where we do."""
        self._take(self._fence.heard(theirs))
        return self._fence.mine

    def _watch(self, identity: str) -> None:
        watching = self._watching.get(identity)
        if self._fence.mine.state != "leaving" and (watching is None or watching.done()):
            self._watching[identity] = asyncio.create_task(self._ask(identity), name=f"fence-{identity}")

    async def _ask(self, identity: str) -> None:
        while identity in self._others.present():
            theirs = await self._others.ask(identity, self._fence.mine)
            self._take(self._fence.answered(theirs) if theirs else self._fence.unheard(identity))
            await asyncio.sleep(AGAIN_SECONDS)
        self._take(self._fence.unheard(identity))

    def _take(self, fence: Fence) -> None:
        before, self._fence = self._fence.mine.state, fence
        self._changed.set()
        if fence.mine.state == before:
            return
        log.info("agent_settled", state=fence.mine.state, others=len(self._watching))
        if fence.mine.state == "leaving":
            self._leave()
