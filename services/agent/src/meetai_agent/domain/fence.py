"""Which of several agents in one room goes on: the rule that each applies by itself, and on which all agree.

Pure: whoever holds a `Fence` tells it whom it met and what they said, and does what its state says. An agent that serves
stays, and of two alike the one whose job began earlier; so nobody leaves but for one that stays, however messages cross, and
`tests/unit/agent/test_fence_model.py` goes through every way in which they can.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from meetai_contracts.room import StandState


class Stand(Struct, frozen=True):
    """Where one agent stands.

    Attributes:
        identity: LiveKit's, one a job; decides between two that began in the same millisecond.
        since_ms: When its job began, Unix milliseconds. Machines' clocks may differ: any order will do, if it is one.
    """

    identity: str
    since_ms: int
    state: StandState

    def yields_to(self, other: Stand) -> bool:
        """Whether this one must leave because of the other."""
        if self.state == other.state:
            return (other.since_ms, other.identity) < (self.since_ms, self.identity)
        return self.state == "asking" and other.state == "serving"


class Fence(Struct, frozen=True):
    """One agent's view: its own stand, and whom it must hear from before it serves."""

    mine: Stand
    unsettled: frozenset[str] = frozenset()

    def entered(self, others: Iterable[str]) -> Fence:
        """In the room, for the first time or again: ask all agents that are here before serving.

        Those who come later needn't be waited for: they find us, and ask.
        """
        if self.mine.state == "leaving":
            return self
        return self._in("asking", frozenset(others))

    def heard(self, other: Stand) -> Fence:
        """Another asks, and says where it stands. It doesn't know yet where we do: its word is no answer to our question."""
        return self.left() if self.mine.state != "leaving" and self.mine.yields_to(other) else self

    def answered(self, other: Stand) -> Fence:
        """Another has answered."""
        return self.heard(other).unheard(other.identity)

    def unheard(self, identity: str) -> Fence:
        """Another has gone, or doesn't answer: a killed agent stays in the room for 20 s as a ghost (FACTS)."""
        return self._in(self.mine.state, self.unsettled - {identity})

    def left(self) -> Fence:
        """This one leaves, for whatever reason: nobody has to reckon with it any more."""
        return self._in("leaving", frozenset())

    def _in(self, state: StandState, unsettled: frozenset[str]) -> Fence:
        """Who has nobody left to hear from serves."""
        settled: StandState = "serving" if state == "asking" and not unsettled else state
        return Fence(msgspec.structs.replace(self.mine, state=settled), unsettled)
