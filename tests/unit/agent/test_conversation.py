"""The conversation as the room drives it, over a room that a test plays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from livekit import rtc
from tests.unit.agent.test_converse import Bench, metadata
from tests.unit.agent.test_session import AGENT, HUMAN, FakeRoom, Someone
from tests.waiting import until

from meetai_agent.conversation import RoomConversation
from meetai_contracts.room import write_room_metadata

BAD = ["{", '{"v":2}', '{"v":1,"meetingData":{"id":"m","name":""}}', " " * 20_000]


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
        self.names: list[str] = []
        cast("Any", self.room).local_participant = self
        self.voice = Voice()
        self.room_chat = Chat()
        self.changes = 0
        self.driver = RoomConversation(
            cast("rtc.Room", self.room),
            self.conversation,
            self.voice,
            self.room_chat,
            humans={HUMAN},
            on_metadata=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1
        raise RuntimeError("no such voice")

    async def set_name(self, name: str) -> None:
        self.names.append(name)

    def change(self, metadata: str) -> None:
        self.room.emit("room_metadata_changed", "", metadata)


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


async def test_a_change_of_the_metadata_is_taken_up_when_it_is_good(driven: Driven) -> None:
    """Whatever follows from it; a bad one is logged and the last good one stays, as when a restarted SFU has forgotten it."""
    await driven.driver.start()
    driven.change(write_room_metadata(metadata(name="Scribe")))
    for bad in [*BAD, ""]:
        driven.change(bad)
    assert driven.changes == 1
    driven.hear("Scribe, who is here?")
    assert await driven.answered(1) == ["Scribe, who is here?"]
    await until(lambda: driven.names == ["Scribe"])


async def test_a_conversation_that_cannot_start_is_no_fault_of_the_meetings(driven: Driven) -> None:
    """It says so and is silent; lines may go on coming."""
    driven.voice.broken = True
    assert not await driven.driver.start()
    assert driven.room_chat.write is None
    driven.hear("Minutes, who is here?")
