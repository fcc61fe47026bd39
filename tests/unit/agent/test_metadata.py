"""A live room's metadata as the application changes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from livekit import rtc
from tests.unit.agent.fake_room import FakeRoom
from tests.unit.agent.test_converse import metadata
from tests.waiting import until

from meetai_agent.domain.briefing import Recollection
from meetai_agent.metadata import MetadataChanges
from meetai_contracts.room import write_room_metadata

BAD = ["{", '{"v":2}', '{"v":1,"meetingData":{"id":"m","name":""}}', " " * 20_000]
FIRST, SCRIBE = (write_room_metadata(metadata(name=name)) for name in ("Minutes", "Scribe"))


class Bench:
    def __init__(self) -> None:
        self.room = FakeRoom()
        cast("Any", self.room).local_participant = self
        cast("Any", self.room).metadata = FIRST
        self.names: list[str] = []
        self.told: list[str] = []
        self.recollection = Recollection(metadata())
        self.changes = MetadataChanges(cast("rtc.Room", self.room), self.recollection)

    async def set_name(self, name: str) -> None:
        self.names.append(name)

    def change(self, metadata: str) -> None:
        self.room.emit("room_metadata_changed", "", metadata)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.changes.aclose()
    bench.change(write_room_metadata(metadata(name="Late")))
    assert bench.recollection.agent.name != "Late"


async def test_a_change_is_taken_up_when_it_is_good(bench: Bench) -> None:
    """A bad one is logged and the last good one stays, as when a restarted SFU has forgotten it."""
    bench.changes.start(FIRST)
    bench.changes.then(lambda: bench.told.append(bench.recollection.agent.name))
    bench.change(SCRIBE)
    for bad in [*BAD, ""]:
        bench.change(bad)
    assert bench.told == ["Scribe"]
    await until(lambda: bench.names == ["Scribe"])


async def test_a_change_is_taken_up_when_it_came_before_the_job_had_joined(bench: Bench) -> None:
    """The job has the metadata of the moment when it was sent."""
    bench.changes.start(SCRIBE)
    assert bench.names == []
    assert bench.recollection.agent.name == "Minutes"
    await until(lambda: bench.names == ["Minutes"])


async def test_the_others_are_told_when_one_fails_over_a_change(bench: Bench) -> None:
    """A voice that there isn't keeps nobody from the new language."""

    def fail() -> None:
        raise RuntimeError("no such voice")

    bench.changes.start(FIRST)
    bench.changes.then(fail)
    bench.changes.then(lambda: bench.told.append("told"))
    bench.change(SCRIBE)
    assert bench.told == ["told"]
