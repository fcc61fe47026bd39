"""The loop that one replica drives: look at all rooms every few seconds, and at once when an agent has left.

Owns when to look and who does. Must not know what a look finds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import structlog

from meetai_servicekit.backoff import Backoff
from meetai_webhook_bridge.domain.errors import LiveKitAwayError, StoreAwayError
from meetai_webhook_bridge.usecases.reconcile import Reconcile
from meetai_webhook_bridge.usecases.watch_agents import WatchAgents

LOOK_SECONDS: Final = 3.0
"""A list of rooms takes milliseconds; a lost agent is noticed so late at most when its webhook is lost too."""
SEEK_SECONDS: Final = 3.0
"""How long nobody leads after a leader has died, at most."""
AWAY: Final = Backoff(first_seconds=1.0, limit_seconds=10.0)

log = structlog.get_logger()


class Lead(Protocol):
    """Leadership, while it lasts."""

    async def wait(self, seconds: float) -> None:
        """Return after that time or when a look is worth it. Raises `StoreAwayError`: it has ended."""


class Overseer:
    """Seeks the lead, and looks after the rooms while it has it."""

    def __init__(
        self,
        *,
        sought: Callable[[], AbstractAsyncContextManager[Lead | None]],
        reconcile: Reconcile,
        watch_agents: WatchAgents,
        leads: Callable[[bool], None],
        random: Callable[[], float],
    ) -> None:
        self._sought = sought
        self._reconcile = reconcile
        self._watch_agents = watch_agents
        self._leads = leads
        self._random = random

    async def run(self) -> None:
        """Look after the rooms until cancelled, whenever nobody else does."""
        failures = 0
        while True:
            try:
                async with self._sought() as lead:
                    failures = 0
                    if lead is not None:
                        await self._look_after_rooms(lead)
            except StoreAwayError as error:
                failures += 1
                log.warning("lead_store_away", failures=failures, reason=str(error))
                await asyncio.sleep(AWAY.wait_seconds(failures, self._random))
            else:
                await asyncio.sleep(SEEK_SECONDS)

    async def _look_after_rooms(self, lead: Lead) -> None:
        log.info("lead_taken")
        self._leads(True)
        try:
            while True:
                await self._look()
                await lead.wait(LOOK_SECONDS)
        finally:
            self._leads(False)
            log.info("lead_ended")

    async def _look(self) -> None:
        try:
            await self._watch_agents.look(await self._reconcile.look())
        except LiveKitAwayError as error:
            log.warning("rooms_not_looked_at", reason=str(error))
