"""Whether a room lacks its agent, and when to send for another. Must not do I/O or read a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from meetai_contracts.codec import ContractError
from meetai_contracts.room import parse_room_metadata
from meetai_servicekit.backoff import Backoff

DISPATCH: Final = Backoff(first_seconds=5.0, limit_seconds=60.0)
"""After the first dispatch, which is made at once. One that is on its way is waited for besides (servicekit.dispatches)."""
MAX_DISPATCHES: Final = 60
"""In a row, without an agent that stayed: an hour or so. Then the room is left alone, and counted."""
STEADY: Final = timedelta(seconds=60)
"""An agent that stayed for so long is no reason to count on: the next loss is a new one."""


class AgentWatch(Struct, frozen=True):
    """What is remembered of a room's agent from look to look.

    Attributes:
        present_since: Since when an agent has been seen at every look; None while there is none.
        dispatches: How many were made since an agent last stayed.
        next_at: Before then none is made.
    """

    present_since: datetime | None = None
    dispatches: int = 0
    next_at: datetime | None = None

    @property
    def is_given_up(self) -> bool:
        """Whether enough was tried."""
        return self.dispatches >= MAX_DISPATCHES

    def present(self, now: datetime) -> AgentWatch:
        """An agent is there."""
        since = self.present_since or now
        if now - since >= STEADY:
            return AgentWatch(present_since=since)
        return replace(self, present_since=since)

    def absent(self) -> AgentWatch:
        """None is there."""
        return replace(self, present_since=None)

    def is_due(self, now: datetime) -> bool:
        """Whether to send for one now."""
        return not self.is_given_up and (self.next_at is None or now >= self.next_at)

    def dispatched(self, now: datetime, random: Callable[[], float]) -> AgentWatch:
        """One was sent for."""
        dispatches = self.dispatches + 1
        wait = timedelta(seconds=DISPATCH.wait_seconds(dispatches, random))
        return replace(self, dispatches=dispatches, next_at=now + wait)


def wants_agent(metadata: str) -> bool:
    """Whether a room is to have an agent. One whose agent was sent away says so by metadata without it."""
    try:
        return parse_room_metadata(metadata).agent_data is not None
    except ContractError:
        return False


def is_present(agents_joined_at: Iterable[datetime], announced_at: datetime | None) -> bool:
    """Whether one of the agents that LiveKit lists is there: who joined before the room's latest start is a ghost (FACTS).

    Webhooks are dated to the second, by cutting off: a real agent's time is never before that.
    """
    return any(announced_at is None or joined_at >= announced_at for joined_at in agents_joined_at)
