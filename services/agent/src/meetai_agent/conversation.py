"""A meeting's conversation as the room drives it: its chat in, answers out.

Owns what of the room's events concerns the conversation, and its life within the job. Must not touch the transcription: whatever
goes wrong here is logged, and people are transcribed all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, Protocol

import structlog
from livekit import rtc

from meetai_agent.usecases.converse import Conversation

START_SECONDS: Final = 20.0

log = structlog.get_logger()


class Voice(Protocol):
    """What starts and stops with the conversation."""

    async def start(self) -> None:
        """Be ready to talk."""

    async def aclose(self) -> None:
        """Stop. Never raises."""


class ChatRoom(Protocol):
    """The room's chat, incoming."""

    def receive(self, on_message: Callable[[str, str], None]) -> None:
        """Give every message, its sender's identity first, to `on_message`."""

    async def aclose(self) -> None:
        """Stop."""


class RoomConversation:
    """The conversation of one job.

    Args:
        humans: Kinds of participants that count as people.
    """

    def __init__(
        self,
        room: rtc.Room,
        conversation: Conversation,
        voice: Voice,
        chat: ChatRoom,
        *,
        humans: Collection[Any],
    ) -> None:
        self._room = room
        self._conversation = conversation
        self._voice = voice
        self._chat = chat
        self._humans = humans
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> bool:
        """Begin. Never raises: returns whether there is a conversation."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._voice.start()
            self._chat.receive(self._written)
        except Exception:
            log.exception("conversation_unavailable")
            return False
        self._running = asyncio.create_task(self._conversation.run(), name="conversation")
        return True

    async def finish(self) -> None:
        """Fall silent: what was said so far is a line. Never raises."""
        self._conversation.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._voice.aclose()
        with suppress(Exception):
            await self._chat.aclose()

    def _written(self, identity: str, text: str) -> None:
        """Other agents aren't answered: two of them would talk for ever."""
        sender = self._room.remote_participants.get(identity)
        if sender is not None and sender.kind in self._humans:
            self._conversation.written(identity, sender.name, text)
