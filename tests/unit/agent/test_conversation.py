"""The conversation as the room drives it, over a room that a test plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from livekit import rtc
from tests.unit.agent.fake_room import AGENT, HUMAN, FakeRoom, Someone
from tests.unit.agent.test_converse import Bench

from meetai_agent.conversation import RoomConversation


class Voice:
    """Starts, or doesn't."""

    def __init__(self) -> None:
        self.broken = False
        self.running = False

    async def start(self) -> None:
        if self.broken:
            raise RuntimeError("no track")
        self.running = True

    async def aclose(self) -> None:
        self.running = False


class Chat:
    """Gives what a test writes."""

    def __init__(self) -> None:
        self.write: Callable[[str, str], None] | None = None

    def receive(self, on_message: Callable[[str, str], None]) -> None:
        self.write = on_message

    async def aclose(self) -> None:
        self.write = None


class Driven(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.room = FakeRoom()
        self.voice = Voice()
        self.room_chat = Chat()
        self.driver = RoomConversation(
            cast("rtc.Room", self.room),
            self.conversation,
            self.voice,
            self.room_chat,
            humans={HUMAN},
        )


@pytest.fixture
async def driven() -> Any:
    driven = Driven()
    driven.room.join(Someone("ada", name="Ada"))
    driven.room.join(Someone("bot", name="Bot", kind=AGENT))
    yield driven
    await driven.driver.finish()
    assert not driven.voice.running


async def test_people_are_answered_in_the_chat_and_other_agents_are_not(driven: Driven) -> None:
    """Nor is somebody who isn't there."""
    assert await driven.driver.start()
    assert driven.room_chat.write is not None
    for identity in ("bot", "nobody", "ada"):
        driven.room_chat.write(identity, f"what does {identity} want?")
    assert await driven.answered(1) == ["what does ada want?"]


async def test_a_conversation_that_cannot_start_is_no_fault_of_the_meetings(driven: Driven) -> None:
    """It says so and is silent; lines may go on coming."""
    driven.voice.broken = True
    assert not await driven.driver.start()
    assert driven.room_chat.write is None
    driven.hear("Minutes, who is here?")
