"""The room's chat in a real room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import structlog
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient
from tests.integration.agent.reachable import hears
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.embedded import EmbeddedServer
from tests.waiting import until

from meetai_agent.adapters import livekit_chat
from meetai_agent.adapters.livekit_chat import CHAT_TOPIC, MAX_MESSAGE_CHARACTERS, MAX_WAITING, RoomChat


class Bench:
    """Maya, who writes and reads, Ben, who writes, and the agent's side of the chat."""

    def __init__(self, maya: rtc.Room, ben: rtc.Room, agent: rtc.Room) -> None:
        self.maya = maya
        self.ben = ben
        self.agent = agent
        self.chat = RoomChat(agent)
        self.received: list[tuple[str, str]] = []
        self.read: list[str] = []
        self.chat.receive(lambda identity, text: self.received.append((identity, text)))
        self.maya.register_text_stream_handler(CHAT_TOPIC, self._read)

    def _read(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        self.reader = reader
        self.read.append(reader.info.stream_id)


@pytest.fixture
async def bench(livekit: EmbeddedServer) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        rooms = []
        for identity in ("maya", "ben", "agent"):
            grants = api.VideoGrants(room_join=True, room="standup")
            token = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_grants(grants)
            room = rtc.Room()
            await room.connect(livekit.url, token.to_jwt())
            stack.push_async_callback(room.disconnect)
            rooms.append(room)
        maya, ben, agent = rooms
        await hears(agent, maya)
        await hears(agent, ben)
        await hears(maya, agent)
        bench = Bench(maya, ben, agent)
        stack.push_async_callback(bench.chat.aclose)
        yield bench


def kept_by_the_sdk() -> int:
    """The text streams of which it still takes what arrives. Each room has a subscriber of its own, without a filter."""
    return sum(
        1
        for _queue, _loop, wanted in FfiClient.instance.queue._subscribers
        if wanted and "TextStreamReader" in wanted.__qualname__
    )


async def test_messages_go_both_ways_when_somebody_writes(bench: Bench) -> None:
    """As LiveKit's components send and show them, in order; the agent doesn't read its own."""
    for text in ("Hello.", "Gr\u00fc\u00dfe \N{GRINNING FACE}"):
        await bench.maya.local_participant.send_text(text, topic=CHAT_TOPIC)
    await until(lambda: len(bench.received) == 2)
    assert bench.received == [("maya", "Hello."), ("maya", "Gr\u00fc\u00dfe \N{GRINNING FACE}")]
    bench.chat.write("Hello, Maya.")
    await until(lambda: bench.read)
    assert await bench.reader.read_all() == "Hello, Maya."
    assert len(bench.received) == 2


async def test_a_message_is_refused_in_words_when_it_is_too_long(bench: Bench) -> None:
    """And not kept in memory to its end."""
    await bench.maya.local_participant.send_text("x" * (MAX_MESSAGE_CHARACTERS * 10), topic=CHAT_TOPIC)
    await until(lambda: bench.read)
    assert "at most 4,000 characters" in await bench.reader.read_all()
    assert bench.received == []
    await until(lambda: not bench.chat._reading)
    assert kept_by_the_sdk() == 0


async def test_a_message_that_never_ends_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up nobody else's."""
    monkeypatch.setattr(livekit_chat, "READ_SECONDS", 2.0)
    writer = await bench.maya.local_participant.stream_text(topic=CHAT_TOPIC)
    await writer.write("I was about to")
    await bench.maya.local_participant.send_text("Hello.", topic=CHAT_TOPIC)
    await until(lambda: bench.received)
    await until(lambda: not bench.chat._reading)
    assert bench.received == [("maya", "Hello.")]
    assert kept_by_the_sdk() == 0


async def test_a_message_is_left_unread_when_too_many_come_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of it is kept, and the next is read again."""
    monkeypatch.setattr(livekit_chat, "MAX_READING", 1)
    with structlog.testing.capture_logs() as logs:
        slow = await bench.maya.local_participant.stream_text(topic=CHAT_TOPIC)
        await slow.write("First")
        await until(lambda: bench.chat._reading)
        refused = await bench.maya.local_participant.stream_text(topic=CHAT_TOPIC)
        await refused.write("Second")
        await until(lambda: any(entry["event"] == "chat_message_refused" for entry in logs))
    await slow.write(", and its end.")
    await slow.aclose()
    await until(lambda: bench.received)
    await refused.aclose()
    assert kept_by_the_sdk() == 0
    await bench.maya.local_participant.send_text("Third", topic=CHAT_TOPIC)
    await until(lambda: len(bench.received) == 2)
    assert bench.received == [("maya", "First, and its end."), ("maya", "Third")]


async def test_others_are_read_when_one_has_begun_as_many_as_may_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes the chat from the others by never coming to an end."""
    monkeypatch.setattr(livekit_chat, "MAX_READING", 2)
    monkeypatch.setattr(livekit_chat, "MAX_READING_EACH", 1)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            endless = await bench.maya.local_participant.stream_text(topic=CHAT_TOPIC)
            await endless.write("I was about to")
        await until(lambda: any(entry["event"] == "chat_message_refused" for entry in logs))
    await bench.ben.local_participant.send_text("Hello.", topic=CHAT_TOPIC)
    await until(lambda: bench.received)
    assert bench.received == [("ben", "Hello.")]


async def test_the_oldest_messages_go_when_the_room_is_gone(bench: Bench) -> None:
    """Writing neither waits nor raises, and memory is bounded."""
    await bench.agent.disconnect()
    for number in range(MAX_WAITING * 2):
        bench.chat.write(str(number))
    assert list(bench.chat._waiting) == [str(number) for number in range(MAX_WAITING, MAX_WAITING * 2)]
