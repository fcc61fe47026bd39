"""A sink that fails on demand, a clock that is turned by hand, what was measured. The sink passes the adapters' suite."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from tests.unit.servicekit.fake_streams import FakeStreamObserver

from meetai_contracts.events import DomainEvent
from meetai_webhook_bridge.domain.delivery import Backlog
from meetai_webhook_bridge.domain.errors import (
    SendError,
)


class FakeClock:
    """Now, until it is advanced."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic_seconds(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class FakeSink:
    """The port `EventSink`; each reason in `failures` makes one send fail."""

    def __init__(self) -> None:
        self.taken: list[DomainEvent] = []
        self.failures: deque[str] = deque()

    async def send(self, event: DomainEvent, *, traceparent: str | None = None) -> None:
        if self.failures:
            raise SendError(self.failures.popleft())
        self.taken.append(event)


class FakeMeasures(FakeStreamObserver):
    """The port `Measures`, as lists."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, int] = {}
        self.webhooks: list[tuple[str, str]] = []
        self.attempts: list[str] = []
        self.deliveries: list[tuple[str, float]] = []
        self.backlogs: list[Backlog] = []
        self.looks: list[tuple[int, int]] = []
        self.mended: list[str] = []
        self.refused = 0
        self.missing_agents = (0, 0)

    def webhook_answered(self, event: str, outcome: str) -> None:
        self.webhooks.append((event, outcome))

    def entries_accepted(self, outcome: str, entries: int) -> None:
        self.entries[outcome] = self.entries.get(outcome, 0) + entries

    def event_attempted(self, outcome: str, seconds: float) -> None:
        self.attempts.append(outcome)

    def event_delivered(self, source: str, seconds: float) -> None:
        self.deliveries.append((source, seconds))

    def rooms_looked_at(self, live: int, missing: int) -> None:
        self.looks.append((live, missing))

    def room_mended(self, what: str) -> None:
        self.mended.append(what)

    def room_refused(self) -> None:
        self.refused += 1

    def agents_missing(self, waited_for: int, given_up: int) -> None:
        self.missing_agents = (waited_for, given_up)

    def backlog_seen(self, backlog: Backlog) -> None:
        self.backlogs.append(backlog)
