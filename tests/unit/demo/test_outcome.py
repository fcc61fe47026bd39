"""Waiting for what should come after a meeting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.unit.demo import meetings

from meetai_contracts.api import Integrity, StoredLine
from meetai_local.demo import outcome
from meetai_local.demo.engine import EngineError

UNPROVEN = msgspec.structs.replace(meetings.integrity(), verdict="unproven")
EVENT = {"id": "e1", "name": "livekit/room_finished", "data": msgspec.to_builtins(meetings.room_finished())}
OTHER = {"id": "e2", "data": {**EVENT["data"], "meetingId": "another"}}


class FakeStore:
    """Answers integrity from a list, the last for ever."""

    def __init__(self, *answers: Integrity | EngineError) -> None:
        self._answers = list(answers)

    async def integrity(self, meeting_id: str) -> Integrity:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def transcript(self, meeting_id: str) -> tuple[StoredLine, ...]:
        return meetings.stored()


class FakeReceiver:
    """Has another list of events at each call, the last for ever."""

    def __init__(self, *events: Sequence[dict[str, Any]]) -> None:
        self._events = list(events)

    async def __call__(self, name: str) -> Sequence[dict[str, Any]]:
        assert name == "livekit/room_finished"
        return self._events.pop(0) if len(self._events) > 1 else self._events[0]


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTEGRITY_DEADLINE_SECONDS", "EVENT_DEADLINE_SECONDS", "DUPLICATE_WAIT_SECONDS"):
        monkeypatch.setattr(outcome, name, 0.05)
    monkeypatch.setattr(outcome, "_POLL_SECONDS", 0.001)


async def test_outcome_is_whole_when_everything_comes_late() -> None:
    """Refusals and unproven answers are waited out, other meetings' events are left aside."""
    store = FakeStore(EngineError("HTTP 503"), UNPROVEN, meetings.integrity())
    receiver = FakeReceiver([], [OTHER], [OTHER, EVENT])
    assert await outcome.await_outcome(store, meetings.MEETING, receiver) == meetings.outcome()


async def test_second_event_is_found_when_it_comes_after_the_first() -> None:
    """One event is not enough to know that there is only one."""
    receiver = FakeReceiver([EVENT], [EVENT, EVENT])
    kept = await outcome.await_outcome(FakeStore(meetings.integrity()), meetings.MEETING, receiver)
    assert len(kept.room_finished) == 2


async def test_last_answer_is_kept_when_the_proof_never_comes() -> None:
    """Past the deadline the outcome says what there was."""
    kept = await outcome.await_outcome(FakeStore(UNPROVEN), meetings.MEETING, FakeReceiver([]))
    assert kept.integrity == UNPROVEN
    assert kept.room_finished == ()


async def test_problem_is_named_when_the_store_never_answers() -> None:
    """No integrity, and why."""
    kept = await outcome.await_outcome(FakeStore(EngineError("HTTP 503")), meetings.MEETING, FakeReceiver([EVENT]))
    assert (kept.integrity, kept.problem) == (None, "HTTP 503")


async def test_event_is_counted_when_it_is_not_of_the_contract() -> None:
    """An event without times can't be this meeting's end, and isn't hidden either."""
    receiver = FakeReceiver([{"id": "e3", "data": {"meetingId": meetings.MEETING}}])
    kept = await outcome.await_outcome(FakeStore(meetings.integrity()), meetings.MEETING, receiver)
    assert (kept.room_finished, kept.unreadable_events) == ((), 1)
