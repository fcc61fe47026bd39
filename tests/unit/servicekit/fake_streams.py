"""Streams in memory. They pass the suite of the real ones (tests/integration/servicekit/test_stream_suite.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams import Arrival, GroupMissingError, Reclaimed, StreamStatus

FIELD = "b"


class FakeLog:
    """A stream with one group, in memory; several `FakeStream`s read from it. `now_ms` is its clock."""

    RECLAIM_IDLE_MS = 15_000

    def __init__(self, key: str = "fake") -> None:
        self.key = key
        self.now_ms = 1_790_000_000_000
        self.away = False
        self.entries: dict[str, dict[bytes, bytes]] = {}
        self.has_group = False
        self.delivered: set[str] = set()
        self.pending: dict[str, tuple[str, int]] = {}
        self.acknowledged: list[str] = []
        self.arrived = asyncio.Event()

    def put(self, data: bytes, field: str = FIELD) -> str:
        entry_id = f"{self.now_ms}-{len(self.entries)}"
        self.entries[entry_id] = {field.encode(): data}
        self.arrived.set()
        return entry_id

    def drop_group(self) -> None:
        self.has_group = False
        self.delivered.clear()
        self.pending.clear()


class FakeStream:
    """`EntryStream` over a `FakeLog`, as one consumer."""

    def __init__(self, log: FakeLog, consumer: str, *, count: int = 250, block_seconds: float = 0.05) -> None:
        self._log = log
        self._consumer = consumer
        self._count = count
        self._block_seconds = block_seconds
        self.has_more = False

    @property
    def name(self) -> str:
        return self._log.key

    async def join(self) -> None:
        with self._answering(needs_group=False):
            self._log.has_group = True

    async def read(self, *, wait: bool = True) -> tuple[Arrival, ...]:
        with self._answering():
            fresh = self._fresh()
            self.has_more = False
        if not fresh and wait:
            self._log.arrived.clear()
            try:
                async with asyncio.timeout(self._block_seconds):
                    await self._log.arrived.wait()
            except TimeoutError:
                return ()
            with self._answering():
                fresh = self._fresh()
        for entry_id in fresh:
            self._log.delivered.add(entry_id)
            self._log.pending[entry_id] = (self._consumer, self._log.now_ms)
        self.has_more = len(fresh) == self._count
        return self._arrivals(fresh)

    async def reclaim(self, in_hand: Collection[str]) -> Reclaimed:
        with self._answering():
            quiet_since = self._log.now_ms - FakeLog.RECLAIM_IDLE_MS
            idle = [i for i, (_, at) in self._log.pending.items() if at <= quiet_since and i not in in_hand][
                : self._count
            ]
            for entry_id in idle:
                self._log.pending[entry_id] = (self._consumer, self._log.now_ms)
            lost = [entry_id for entry_id in idle if entry_id not in self._log.entries]
            for entry_id in lost:
                del self._log.pending[entry_id]
            return Reclaimed(self._arrivals([entry_id for entry_id in idle if entry_id not in lost]), tuple(lost))

    async def keep(self, entry_ids: Sequence[str]) -> None:
        with self._answering():
            for entry_id in entry_ids:
                if entry_id in self._log.pending:
                    self._log.pending[entry_id] = (self._consumer, self._log.now_ms)

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        with self._answering(needs_group=False):
            self._log.acknowledged += [i for i in entry_ids if self._log.pending.pop(i, None) is not None]

    async def trim(self) -> int:
        return 0

    async def prune_consumers(self) -> int:
        return 0

    async def status(self) -> StreamStatus:
        with self._answering():
            ages = [self._log.now_ms - int(entry_id.partition("-")[0]) for entry_id in self._log.pending]
            return StreamStatus(
                lag_entries=len(self._log.entries.keys() - self._log.delivered),
                pending_entries=len(ages),
                oldest_pending_seconds=max(ages, default=0) / 1000,
            )

    @contextmanager
    def _answering(self, *, needs_group: bool = True) -> Iterator[None]:
        if self._log.away:
            raise TryLaterError("the stream is away")
        if needs_group and not self._log.has_group:
            raise GroupMissingError("no group")
        yield

    def _fresh(self) -> list[str]:
        return [entry_id for entry_id in self._log.entries if entry_id not in self._log.delivered][: self._count]

    def _arrivals(self, entry_ids: Sequence[str]) -> tuple[Arrival, ...]:
        return tuple(Arrival(self.name, entry_id, self._log.entries[entry_id]) for entry_id in entry_ids)


class FakeStreamObserver:
    """`StreamObserver`: remembers what it was told."""

    def __init__(self) -> None:
        self.postponed_work: list[str] = []
        self.reclaimed_entries = 0
        self.lost_entries = 0
        self.seen: list[StreamStatus] = []

    def postponed(self, what: str) -> None:
        self.postponed_work.append(what)

    def reclaimed(self, stream: str, entries: int) -> None:
        self.reclaimed_entries += entries

    def lost(self, stream: str, entries: int) -> None:
        self.lost_entries += entries

    def stream_seen(self, stream: str, status: StreamStatus) -> None:
        self.seen.append(status)
