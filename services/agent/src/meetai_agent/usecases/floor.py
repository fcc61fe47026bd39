"""Whose turn it is to talk: people first.

Owns who is speaking at this moment. It knows voices, not words; must not decide what the agent says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from meetai_agent.domain.heard import Voice

WAIT_SECONDS: Final = 8.0
"""The agent waits so long for a pause, then talks all the same: a microphone that hears music never pauses."""


class Floor:
    """Who has it."""

    def __init__(self) -> None:
        self._taken: Callable[[], None] | None = None
        self._heard: set[str] = set()
        self._free = asyncio.Event()
        self._free.set()

    def when_taken(self, taken: Callable[[], None]) -> None:
        """From now on, call this whenever somebody speaks. A cough isn't enough."""
        self._taken = taken

    def voice_changed(self, identity: str, voice: Voice) -> None:
        """Somebody was noticed, speaks, or has paused."""
        if voice == "paused":
            self._heard.discard(identity)
            if not self._heard:
                self._free.set()
            return
        self._heard.add(identity)
        self._free.clear()
        if voice == "speaking" and self._taken is not None:
            self._taken()

    async def free(self) -> None:
        """Wait until nobody is heard, 8 s at most."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.wait()
        except TimeoutError:
            return
