"""Asking people before anything is done: one popup to one participant, one answer, one event.

Owns who is being asked what: identical proposals in flight share one popup and one result, and there are never too many.
Nothing is carried out here, nor anywhere in the agent: whoever acts, acts on the `…approved` event and on nothing else. What kind
of thing is proposed (a calendar event, …) it doesn't know: see `ApprovalKind` and ADR 0035.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from meetai_agent.domain.errors import ProposalRefusedError
from meetai_agent.domain.proposal import Decided
from meetai_agent.usecases.asking import ApprovalKind, Asking, Surroundings

MAX_OPEN: Final = 8
"""Proposals open at once in a room."""
MAX_OPEN_EACH: Final = 3
"""Proposals open at once to one person: more popups than that are a nuisance, not a question."""

C = TypeVar("C")
Key = tuple[str, str, bytes]
"""Kind, identity of the approver, canonical content: what makes two proposals the same."""


class Approvals:
    """The proposals of one job."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._open: dict[Key, Asking[Any]] = {}
        self._running: dict[asyncio.Task[None], Asking[Any]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        self._closed = False

    def propose(self, kind: ApprovalKind[C], identity: str, content: C) -> asyncio.Future[Decided[C]]:
        """Ask, and give the end to wait for. Cancelling it ends the wait, not the proposal: a person may be looking at it.

        An identical proposal in flight to the same person is joined: one popup, one end, one event.

        Raises:
            ProposalRefusedError: nobody is asked: it is too large, or too many are open.
        """
        key = (kind.name, identity, kind.canonical(content))
        asking: Asking[C] | None = self._open.get(key)
        if asking is None:
            asking = self._start(key, kind, content)
        waiting = asyncio.shield(asking.ended)
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    def let_go(self) -> None:
        """The conversation is over: nobody waits any more, and people may still answer until the meeting is."""
        for waiting in list(self._waiting):
            waiting.cancel()

    async def close(self) -> None:
        """The meeting is over: what is open ends as expired."""
        self._closed = True
        for asking in self._running.values():
            asking.close()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, key: Key, kind: ApprovalKind[C], content: C) -> Asking[C]:
        identity = key[1]
        self._check_room_for_one_more(identity)
        asking = Asking(kind, identity, content, self._surroundings)
        self._open[key] = asking
        asking.ended.add_done_callback(lambda _: self._open.pop(key, None))
        task = asyncio.create_task(asking.run(), name=f"proposal-{asking.id}")
        self._running[task] = asking
        task.add_done_callback(self._running.pop)
        return asking

    def _check_room_for_one_more(self, identity: str) -> None:
        if self._closed:
            raise ProposalRefusedError("The meeting is over; nobody was asked.")
        if self._surroundings.telling.full:
            raise ProposalRefusedError("Decisions can't be recorded at the moment; nobody was asked. Try again later.")
        if len(self._open) >= MAX_OPEN:
            raise ProposalRefusedError(f"{MAX_OPEN} proposals still wait for answers; nobody was asked.")
        if sum(key[1] == identity for key in self._open) >= MAX_OPEN_EACH:
            raise ProposalRefusedError(f"{MAX_OPEN_EACH} proposals wait for that person's answer; they weren't asked.")
