"""When two that are connected to a room hear each other."""

from __future__ import annotations

import asyncio

from livekit import rtc
from tests.waiting import eventually


async def hears(listener: rtc.Room, sender: rtc.Room) -> None:
    """Wait until what one sends reaches the other: being connected doesn't say so yet, and what comes earlier is dropped."""
    heard = asyncio.Event()
    listener.once("data_received", lambda _packet: heard.set())

    async def has_heard() -> bool:
        await sender.local_participant.publish_data(b"?", topic="reachable")
        return heard.is_set()

    await eventually(has_heard, seconds=30)
