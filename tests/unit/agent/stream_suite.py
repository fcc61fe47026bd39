"""What every batch stream must do: the fake in memory and Redis pass the same tests."""

from __future__ import annotations

import time
from typing import Protocol

import pytest

from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.ports import BatchStream


class StreamUnderTest(Protocol):
    """A stream, and the hand on its plug."""

    @property
    def stream(self) -> BatchStream:
        """The stream itself."""

    async def entries(self, meeting_id: str) -> list[bytes]:
        """What a store would read."""

    async def go_away(self) -> None:
        """From now on nothing answers."""

    async def come_back(self) -> None:
        """It answers again."""

    async def cut_next_reply(self) -> None:
        """The next entry lands, and its reply is lost."""


class StreamSuite:
    """Inherit, and give an `under_test` fixture."""

    @pytest.fixture
    def under_test(self) -> StreamUnderTest:
        raise NotImplementedError

    async def test_entries_are_there_in_order_when_they_were_confirmed(self, under_test: StreamUnderTest) -> None:
        """Bytes for bytes, whatever they are."""
        batches = [b"one", bytes(range(256)), b"\x00" * 256 * 1024]
        for batch in batches:
            await under_test.stream.append("standup 😀", batch)
        assert await under_test.entries("standup 😀") == batches

    async def test_an_entry_is_refused_in_time_when_the_stream_is_away(self, under_test: StreamUnderTest) -> None:
        """With the one error that means: retry. And it works again as soon as the stream does."""
        await under_test.stream.append("standup", b"one")
        await under_test.go_away()
        started = time.monotonic()
        with pytest.raises(StreamUnavailableError):
            await under_test.stream.append("standup", b"two")
        assert time.monotonic() - started < 3.9  # an attempt has 2 s; a second one would end after 4 s
        await under_test.come_back()
        await under_test.stream.append("standup", b"three")
        assert await under_test.entries("standup") == [b"one", b"three"]

    async def test_an_entry_lands_once_when_its_reply_is_lost(self, under_test: StreamUnderTest) -> None:
        """It is reported as not confirmed; nobody sends it again unasked."""
        await under_test.cut_next_reply()
        with pytest.raises(StreamUnavailableError):
            await under_test.stream.append("standup", b"one")
        await under_test.stream.append("standup", b"two")
        assert await under_test.entries("standup") == [b"one", b"two"]
