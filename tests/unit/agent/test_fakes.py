"""The fakes keep the promises of their ports: they pass the suites of the adapters that they stand for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.unit.agent.approval_fakes import MemoryDeadEvent, MemoryOutbox, MemoryOutboxes, MemoryParticipants
from tests.unit.agent.fakes import MemoryDisk, MemorySpool, MemoryStream
from tests.unit.agent.outbox_suite import Outboxes, OutboxSuite
from tests.unit.agent.participants_suite import Meeting, ParticipantsSuite
from tests.unit.agent.spool_suite import Spools, SpoolSuite
from tests.unit.agent.stream_suite import StreamSuite, StreamUnderTest

from meetai_agent.domain.batches import Producer


class MemorySpools:
    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self, producer: Producer, *, max_bytes: int = 64 * 1024 * 1024) -> MemorySpool:
        return MemorySpool(self._disk, producer, max_bytes=max_bytes)

    def claim(self) -> Sequence[MemorySpool]:
        return self._disk.claim()


class TestMemorySpool(SpoolSuite):
    """The spool in memory."""

    @pytest.fixture
    def spools(self) -> Spools:
        return MemorySpools()


class MemoryStreamUnderTest:
    def __init__(self) -> None:
        self.stream = MemoryStream()

    async def entries(self, meeting_id: str) -> list[bytes]:
        return [batch for meeting, batch in self.stream.entries if meeting == meeting_id]

    async def go_away(self) -> None:
        self.stream.failing = True

    async def come_back(self) -> None:
        self.stream.failing = False

    async def cut_next_reply(self) -> None:
        self.stream.cut_replies = 1


class TestMemoryStream(StreamSuite):
    """The stream in memory."""

    @pytest.fixture
    def under_test(self) -> StreamUnderTest:
        return MemoryStreamUnderTest()


class MemoryOutboxesUnderTest:
    def __init__(self) -> None:
        self._disk = MemoryOutboxes()

    def open(self) -> MemoryOutbox:
        return MemoryOutbox(self._disk)

    def claim(self) -> Sequence[MemoryDeadEvent]:
        return self._disk.claim()


class TestMemoryOutbox(OutboxSuite):
    """The outbox in memory."""

    @pytest.fixture
    def outboxes(self) -> Outboxes:
        return MemoryOutboxesUnderTest()


class MemoryMeeting:
    def __init__(self) -> None:
        self.participants = MemoryParticipants()

    async def join(self, identity: str, name: str) -> None:
        self.participants.join(identity, name)

    async def leave(self, identity: str) -> None:
        self.participants.leave(identity)


class TestMemoryParticipants(ParticipantsSuite):
    """The participants in memory."""

    @pytest.fixture
    async def meeting(self) -> Meeting:
        return MemoryMeeting()
