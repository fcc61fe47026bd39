"""The room's text chat, `lk.chat`: what LiveKit's own components send and show.

Owns the stream of the topic, its bounds and its order. Must not be waited for: a message that the room doesn't take in time is
dropped, and the answer was spoken all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from livekit import rtc

CHAT_TOPIC: Final = "lk.chat"
"""https://docs.livekit.io/home/client/data/text-streams/"""
MAX_MESSAGE_CHARACTERS: Final = 4_000
MAX_READING: Final = 16
"""Messages that are being received at once; a person types one."""
MAX_READING_EACH: Final = 8
"""Of one sender, so that nobody takes the chat from the others."""
READ_SECONDS: Final = 10.0
MAX_WAITING: Final = 32
SEND_SECONDS: Final = 5.0

OnMessage = Callable[[str, str], None]
"""Told the sender's identity and the text."""

log = structlog.get_logger()


class RoomChat:
    """`ports.Chat` over LiveKit text streams, both ways."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._on_message: OnMessage | None = None
        self._reading: dict[asyncio.Task[None], str] = {}
        self._latest: dict[str, asyncio.Task[None]] = {}
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._added = asyncio.Event()
        self._sending = asyncio.create_task(self._send_all(), name="chat")

    def receive(self, on_message: OnMessage) -> None:
        """Give every message that arrives from now on to `on_message`. Once."""
        self._on_message = on_message
        self._room.register_text_stream_handler(CHAT_TOPIC, self._arrived)

    def write(self, text: str) -> None:
        """Queue a message; the oldest goes when 32 wait."""
        self._waiting.append(text[:MAX_MESSAGE_CHARACTERS])
        self._added.set()

    async def aclose(self) -> None:
        """Stop both ways; what still waits is dropped, since the room is gone."""
        if self._on_message is not None:
            self._room.unregister_text_stream_handler(CHAT_TOPIC)
        tasks = [self._sending, *self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _arrived(self, reader: rtc.TextStreamReader, identity: str) -> None:
        of_theirs = sum(sender == identity for sender in self._reading.values())
        if len(self._reading) >= MAX_READING or of_theirs >= MAX_READING_EACH:
            log.warning("chat_message_refused", identity=identity)
            reader.close()
            return
        reading = self._read(reader, identity, before=self._latest.get(identity))
        task = self._latest[identity] = asyncio.create_task(reading, name="chat-read")
        self._reading[task] = identity
        task.add_done_callback(partial(self._forget, identity))

    def _forget(self, identity: str, task: asyncio.Task[None]) -> None:
        del self._reading[task]
        if self._latest.get(identity) is task:
            del self._latest[identity]

    async def _read(self, reader: rtc.TextStreamReader, identity: str, *, before: asyncio.Task[None] | None) -> None:
        """Messages are received side by side, and a person's are given on in the order in which they began.

        What isn't read to its end has to be closed: the SDK would go on keeping what arrives of it.
        """
        text = ""
        try:
            async with asyncio.timeout(READ_SECONDS):
                async for piece in reader:
                    text += piece
                    if len(text) > MAX_MESSAGE_CHARACTERS:
                        self.write(f"That is too long for me: at most {MAX_MESSAGE_CHARACTERS:,} characters, please.")
                        return
            if before is not None:
                await asyncio.wait({before})
            if self._on_message is not None:
                self._on_message(identity, text)
        except Exception:
            log.exception("chat_message_unread", identity=identity)
        finally:
            reader.close()

    async def _send_all(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                text = self._waiting.popleft()
                try:
                    async with asyncio.timeout(SEND_SECONDS):
                        await self._room.local_participant.send_text(text, topic=CHAT_TOPIC)
                except Exception:
                    log.exception("chat_message_unsent")
