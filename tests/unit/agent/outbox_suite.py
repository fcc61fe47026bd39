"""What every outbox must do: the fake in memory and the files on disk pass the same tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import pytest

from meetai_agent.ports.approving import DeadEvent, Outbox

ONE, TWO = UUID(int=1), UUID(int=2)


class Outboxes(Protocol):
    """A place for outboxes."""

    def open(self) -> Outbox:
        """The outbox of a job that starts here."""

    def claim(self) -> Sequence[DeadEvent]:
        """The events of dead jobs."""


class OutboxSuite:
    """Inherit, and give an `outboxes` fixture."""

    @pytest.fixture
    def outboxes(self) -> Outboxes:
        raise NotImplementedError

    def test_the_last_event_under_a_key_is_there_when_its_job_has_ended(self, outboxes: Outboxes) -> None:
        """Byte for byte, the oldest proposal first."""
        outbox = outboxes.open()
        assert all(outbox.keep(*each) for each in [(TWO, b"two"), (ONE, b"promise"), (ONE, b"one" * 30_000)])
        outbox.release()
        dead = outboxes.claim()
        assert [each.event for each in dead] == [b"one" * 30_000, b"two"]

    def test_a_living_jobs_events_are_not_claimed(self, outboxes: Outboxes) -> None:
        """Nor those that another sweep has claimed, until it lets them go; replaced or not."""
        outbox = outboxes.open()
        outbox.keep(ONE, b"promise")
        outbox.keep(ONE, b"one")
        assert list(outboxes.claim()) == []
        outbox.release()
        [dead] = outboxes.claim()
        assert list(outboxes.claim()) == []
        dead.release()
        [again] = outboxes.claim()
        assert again.event == b"one"

    def test_nothing_is_left_when_an_event_was_dropped(self, outboxes: Outboxes) -> None:
        """By its job or by a sweep, also twice."""
        outbox = outboxes.open()
        outbox.keep(ONE, b"one")
        outbox.keep(TWO, b"two")
        outbox.drop(ONE)
        outbox.drop(ONE)
        outbox.release()
        [dead] = outboxes.claim()
        dead.drop()
        dead.drop()
        dead.release()
        assert list(outboxes.claim()) == []

    def test_an_event_is_not_claimed_again_when_it_was_set_aside(self, outboxes: Outboxes) -> None:
        """It can't be told."""
        outbox = outboxes.open()
        outbox.keep(ONE, b"rubbish")
        outbox.release()
        [dead] = outboxes.claim()
        dead.set_aside()
        dead.release()
        assert list(outboxes.claim()) == []
