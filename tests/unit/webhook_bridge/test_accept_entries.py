"""Accepting what the events stream brings: stored before it is acknowledged, and one bad entry holds nobody up."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.servicekit.fake_streams import FakeLog, FakeStream
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox
from tests.waiting import until

from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import Patience
from meetai_webhook_bridge.domain.errors import RejectError
from meetai_webhook_bridge.usecases.accept_entries import AcceptEntries, open_entries


def event(event_id: str) -> bytes:
    return msgspec.json.encode(
        {
            "v": 1,
            "id": event_id,
            "name": "meetai/transcript.completed",
            "occurredAt": "2026-11-23T12:00:00Z",
            "data": {"meetingId": "standup", "roomSid": event_id},
        }
    )


class Rig:
    """The use case over a fake stream and a fake inbox."""

    def __init__(self) -> None:
        self.log = FakeLog("meetai:events")
        self.stream = FakeStream(self.log, "me")
        self.inbox = MemoryInbox(FakeClock())
        self.measures = FakeMeasures()
        self.wakes = 0
        patience = Patience(Backoff(0.2, 3.0), sleep=self._brief, random=lambda: 0.5, observer=self.measures)
        self._accept = AcceptEntries(self.inbox, patience=patience, measures=self.measures, wake_relay=self._wake)

    def put(self, payload: bytes) -> str:
        return self.log.put(payload, "e")

    async def accept(self) -> None:
        """Everything that is on the stream."""
        await self.stream.join()
        await self._accept(self.stream, await open_entries(await self.stream.read()))

    def _wake(self) -> None:
        assert self.inbox.rows, "woken before it was stored"
        self.wakes += 1

    async def _brief(self, _seconds: float) -> None:
        await asyncio.sleep(0.001)


async def test_entries_are_acknowledged_when_they_are_stored() -> None:
    """And the relay is woken; the same again wakes nobody."""
    rig = Rig()
    entry_ids = [rig.put(event("one")), rig.put(event("two"))]
    await rig.accept()
    assert list(rig.inbox.rows) == ["one", "two"]
    assert rig.log.acknowledged == entry_ids
    rig.put(event("two"))
    await rig.accept()
    assert (rig.wakes, rig.measures.entries) == (1, {"new": 2, "duplicate": 1})


async def test_nothing_is_acknowledged_when_the_inbox_is_away() -> None:
    """It is tried until it works; the entries stay this consumer's meanwhile."""
    rig = Rig()
    rig.put(event("one"))
    rig.inbox.is_away = True
    accepting = asyncio.create_task(rig.accept())
    await until(lambda: len(rig.measures.postponed_work) > 3)
    assert rig.log.acknowledged == []
    assert len(rig.log.pending) == 1
    rig.inbox.is_away = False
    await accepting
    assert len(rig.log.acknowledged) == 1


async def test_garbage_is_kept_and_its_neighbours_are_events() -> None:
    """It is acknowledged as well: it is in the ledger, where an operator looks."""
    rig = Rig()
    for payload in (event("one"), b"garbage", event("two")):
        rig.put(payload)
    with capture_logs() as logs:
        await rig.accept()
    states = {row.outbound.event.name: row.state for row in rig.inbox.rows.values()}
    assert states == {"meetai/transcript.completed": "pending", "unreadable": "dead"}
    assert list(rig.inbox.unreadable.values()) == [b"garbage"]
    assert rig.log.pending == {}
    assert rig.measures.entries["unreadable"] == 1
    (logged,) = [line for line in logs if line["event"] == "entry_unreadable"]
    assert "garbage" not in str(logged)


async def test_an_event_that_the_inbox_will_never_take_is_kept_alone() -> None:
    """Those that came with it are stored."""
    rig = Rig()
    rig.inbox.refuses = {"three"}
    for name in ("one", "two", "three", "four", "five"):
        rig.put(event(name))
    await rig.accept()
    assert {"one", "two", "four", "five"} < set(rig.inbox.rows)
    assert list(rig.inbox.unreadable.values()) == [event("three")]
    assert rig.log.pending == {}


async def test_the_process_fails_when_not_even_the_bytes_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has to look; the entry stays on the stream."""
    rig = Rig()
    rig.put(b"garbage")

    async def refuse(_entries: object) -> int:
        raise RejectError("refused")

    monkeypatch.setattr(rig.inbox, "accept_entries", refuse)
    with pytest.raises(RejectError):
        await rig.accept()
    assert len(rig.log.pending) == 1
