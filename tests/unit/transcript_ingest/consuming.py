"""A consumer over fakes, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from tests.unit.servicekit.fake_streams import FakeLog, FakeStream
from tests.unit.transcript_ingest.fakes import FakeObserver, FakeStore

from meetai_servicekit.backoff import Backoff
from meetai_servicekit.patience import Patience
from meetai_servicekit.streams import StreamConsumer
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.consumer import joined, unpack_set
from meetai_transcript_ingest.usecases import StoreEntries


class Rig:
    """A consumer of a fake stream into a fake store. Its sleeps last as long as the test says."""

    def __init__(
        self, log: FakeLog, store: FakeStore, *, name: str = "me", count: int = 250, block_seconds: float = 0.005
    ) -> None:
        self.log, self.store, self.observer = log, store, FakeObserver()
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.stream = FakeStream(log, name, count=count, block_seconds=block_seconds)
        patience = Patience(Backoff(0.2, 3.0), sleep=self._brief, random=lambda: 0.5, observer=self.observer)
        monotonic = lambda: self.now  # noqa: E731 - a property of the rig
        self.consumer = StreamConsumer(
            self.stream,
            partial(unpack_set, lay_out=lay_out),
            StoreEntries(store, patience=patience, observer=self.observer, monotonic=monotonic, unix_seconds=time.time),
            patience=patience,
            observer=self.observer,
            sleep=self.sleep,
            monotonic=monotonic,
            join=joined,
        )

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def pass_time(self, seconds: float) -> None:
        """Move both clocks on by whole seconds, waking who is due after each."""
        for _ in range(int(seconds)):
            self.now += 1
            self.log.now_ms += 1000
            due = [sleeper for sleeper in self._sleepers if sleeper[0] <= self.now]
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self.now]
            for _, woken in due:
                woken.set()
            await asyncio.sleep(0.002)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        tasks = [asyncio.create_task(work(), name=name) for name, work in self.consumer.works().items()]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _brief(self, _seconds: float) -> None:
        await asyncio.sleep(0.01)


async def stored_seqs(store: FakeStore) -> list[int]:
    store.away = False
    return [line.seq for line in await store.lines_after("standup", None, 10_000)]
