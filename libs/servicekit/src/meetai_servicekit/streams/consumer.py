"""The loop that drives one stream: read, hand over, keep the claim alive, tidy up.

Owns the timing of everything that happens to a stream, and the shutdown. Must not know how entries are read or stored.

Out of a backlog, one set is being written while the next is being read and unpacked, never more: while the store is away, two
sets are held and reading stops, so memory stays where it was. Where a read has emptied the stream, all that comes during the write is
one set, written next: it is looked for every now and then, so that it is unpacked by the time the store is free (ADR 0092).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

import structlog

from meetai_servicekit.background import Work
from meetai_servicekit.patience import Patience, TryLaterError
from meetai_servicekit.streams.ports import Arrival, EntryStream, GroupMissingError, StreamObserver

KEEP_INTERVAL_SECONDS: Final = 5.0
"""Entries in hand are confirmed this often; others take over what nobody confirms for three times as long."""
RECLAIM_INTERVAL_SECONDS: Final = 5.0
TIDY_INTERVAL_SECONDS: Final = 60.0
STATUS_INTERVAL_SECONDS: Final = 5.0
"""Prometheus usually scrapes every 15 to 60 s."""
DRAIN_SECONDS: Final = 8.0
"""At SIGTERM what is in hand gets this long; with 10 s for open requests that is within Kubernetes' 30 s."""
STALLED_SECONDS: Final = 30.0
"""A turn of the loop takes 1 s when idle, and 12 s when a transaction takes all that it may; it ends when what was read is stored."""

AHEAD_SECONDS: Final = 0.002
"""During a write, between two looks for new entries; twice as long after each that finds none. At 1 ms Python takes a tenth more of
the processor, at 3 ms entries wait longer (ADR 0092)."""
AHEAD_LIMIT_SECONDS: Final = 1.0
AHEAD_ENTRIES: Final = 1_000
AHEAD_BYTES: Final = 8 * 1024 * 1024
"""What is enough to have read ahead: as much as one read may bring."""

D = TypeVar("D")

log = structlog.get_logger()


def consumer_name() -> str:
    """A name in the consumer group that no process has had before."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class StreamConsumer(Generic[D]):
    """Reads one stream for as long as it runs.

    Args:
        stream: What is read.
        unpack: Opens a set of entries; whatever is wrong with one of them is part of what it returns.
        store: Makes that durable, calls its third argument, and then acknowledges it to the stream.
        join: Makes one of several that were unpacked in turn. None: nothing is read during a write, out of a backlog.
        patience: How to go on when the stream can't be reached.
        observer: Counts.
        sleep: Waits that many seconds.
        monotonic: Seconds, for intervals.
    """

    def __init__(
        self,
        stream: EntryStream,
        unpack: Callable[[Sequence[Arrival]], Awaitable[D]],
        store: Callable[[EntryStream, D, Callable[[], None]], Awaitable[None]],
        *,
        patience: Patience,
        observer: StreamObserver,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
        join: Callable[[Sequence[D]], D] | None = None,
    ) -> None:
        self._stream = stream
        self._unpack = unpack
        self._store = store
        self._patience = patience
        self._observer = observer
        self._sleep = sleep
        self._monotonic = monotonic
        self._join = join
        self._in_hand: dict[str, float] = {}
        self._turned_at = monotonic()
        self._reclaim_due = monotonic()
        self._joined = False
        self._stopping = False
        self._writes: deque[asyncio.Task[None]] = deque()

    @property
    def stalled(self) -> bool:
        """The loop has not come round for so long that it hangs somewhere."""
        return self._monotonic() - self._turned_at > STALLED_SECONDS

    def works(self) -> Mapping[str, Work]:
        """What to run side by side, by name."""
        name = self._stream.name
        return {
            f"consume {name}": self.consume,
            f"keep claims {name}": self.keep_claims,
            f"tidy {name}": self.tidy,
            f"watch {name}": self.watch,
        }

    async def consume(self) -> None:
        """Read and write until cancelled; what is in hand then is given `DRAIN_SECONDS` to be stored.

        Raises whatever `store` does, and at once, also while nothing comes; the entries stay pending.
        """
        flow = asyncio.create_task(self._flow(), name=f"flow {self._stream.name}")
        try:
            await asyncio.shield(flow)
        except asyncio.CancelledError:
            self._stopping = True
            await asyncio.wait({flow}, timeout=DRAIN_SECONDS)
            if not flow.done():
                flow.cancel()
                await asyncio.wait({flow})
                log.warning("entries_left_pending", stream=self._stream.name, entries=len(self._in_hand))
            raise

    async def keep_claims(self) -> None:
        """Confirm what has been in hand for a while, so that no other consumer takes it over."""
        while True:
            await self._sleep(KEEP_INTERVAL_SECONDS)
            before = self._monotonic() - KEEP_INTERVAL_SECONDS
            held = [entry_id for entry_id, since in self._in_hand.items() if since <= before]
            if held:
                await self._attempt("keep", partial(self._stream.keep, held))

    async def tidy(self) -> None:
        """Trim the stream, and forget consumers that are gone."""
        while True:
            await self._sleep(TIDY_INTERVAL_SECONDS)
            await self._attempt("trim", self._stream.trim)
            await self._attempt("prune", self._stream.prune_consumers)

    async def watch(self) -> None:
        """Tell the observer how far the group is behind."""
        while True:
            await self._sleep(STATUS_INTERVAL_SECONDS)
            await self._attempt("status", self._look)

    async def _flow(self) -> None:
        """Read until it is to stop, and wait for what is written then. A write that fails ends a read that waits for entries too."""
        try:
            async with asyncio.TaskGroup() as writers:
                await self._turns(writers)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _turns(self, writers: asyncio.TaskGroup) -> None:
        """Read and write by turns, or at once. A read that has begun is waited for: it may have been given entries."""
        stored: asyncio.Future[None] | None = None
        while not self._stopping:
            if stored is not None and not self._stream.has_more:
                ahead = await self._ahead(stored)
                await stored
                stored = None if ahead is None else await self._begin(writers, *ahead)
                continue  # perhaps it is to stop by now
            arrivals = await self._patience.insist("read", self._next)
            if not arrivals:
                continue
            delivery = await self._unpack(arrivals)  # meanwhile the store is busy with the set before
            if stored is not None:
                await stored
            stored = await self._begin(writers, arrivals, delivery)

    async def _ahead(self, stored: asyncio.Future[None]) -> tuple[tuple[Arrival, ...], D] | None:
        """What comes while a write goes on, unpacked; None where that is nothing. A look that fails is the last.

        None as well when it is time to look for entries of dead consumers, which `_next` does.
        """
        if self._join is None or self._monotonic() >= self._reclaim_due:
            return None
        found: tuple[Arrival, ...] = ()
        opened: list[D] = []
        size = 0
        pause_seconds = AHEAD_SECONDS
        while len(found) < AHEAD_ENTRIES and size < AHEAD_BYTES and not self._stopping:
            await asyncio.wait({stored}, timeout=pause_seconds)
            if stored.done():
                break  # what has come since is for the next set: this one begins at once
            try:
                arrivals = self._held(await self._stream.read(wait=False))
            except TryLaterError:  # the next turn meets it again
                break
            if arrivals:
                found += arrivals
                opened.append(await self._unpack(arrivals))
                size += sum([len(value) for arrival in arrivals for value in arrival.fields.values()])
            else:
                pause_seconds = min(2 * pause_seconds, AHEAD_LIMIT_SECONDS)
        return (found, self._join(opened)) if found else None

    async def _next(self) -> tuple[Arrival, ...]:
        """A set of entries: those of dead consumers first, when it is time to look for them."""
        self._turned_at = self._monotonic()
        try:
            if not self._joined:
                await self._stream.join()
                self._joined = True
            if self._monotonic() >= self._reclaim_due:
                reclaimed = await self._reclaim()
                if reclaimed:
                    return self._held(reclaimed)
                self._reclaim_due = self._monotonic() + RECLAIM_INTERVAL_SECONDS
            return self._held(await self._stream.read())
        except GroupMissingError:
            self._joined = False
            raise

    async def _reclaim(self) -> tuple[Arrival, ...]:
        reclaimed = await self._stream.reclaim(self._in_hand)
        if reclaimed.lost:
            self._observer.lost(self._stream.name, len(reclaimed.lost))
            log.error(
                "entries_lost", stream=self._stream.name, entry_ids=reclaimed.lost[:20], entries=len(reclaimed.lost)
            )
        if reclaimed.arrivals:
            self._observer.reclaimed(self._stream.name, len(reclaimed.arrivals))
            log.info("entries_reclaimed", stream=self._stream.name, entries=len(reclaimed.arrivals))
        return reclaimed.arrivals

    def _held(self, arrivals: tuple[Arrival, ...]) -> tuple[Arrival, ...]:
        now = self._monotonic()
        self._in_hand.update((arrival.entry_id, now) for arrival in arrivals)
        return arrivals

    async def _begin(
        self, writers: asyncio.TaskGroup, arrivals: Sequence[Arrival], delivery: D
    ) -> asyncio.Future[None]:
        """Start a write; what is returned is done when that is stored, and then it is acknowledged while the next is written."""
        self._turned_at = self._monotonic()
        while len(self._writes) > 1:
            await asyncio.wait({self._writes.popleft()})  # the group raises what it raised
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        write = self._write(arrivals, delivery, partial(_settle, stored))
        self._writes.append(writers.create_task(write, name=f"write {self._stream.name}"))
        return stored

    async def _write(self, arrivals: Sequence[Arrival], delivery: D, on_stored: Callable[[], None]) -> None:
        await self._store(self._stream, delivery, on_stored)
        on_stored()  # whatever it stored: nobody waits for this any longer
        for arrival in arrivals:
            self._in_hand.pop(arrival.entry_id, None)  # a group made anew delivers again what is still in hand

    async def _look(self) -> None:
        self._observer.stream_seen(self._stream.name, await self._stream.status())

    async def _attempt(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do what can as well be done the next time."""
        try:
            await work()
        except TryLaterError as error:
            self._observer.postponed(what)
            log.warning("work_postponed", what=what, stream=self._stream.name, cause=str(error))


def _settle(stored: asyncio.Future[None]) -> None:
    """Once is enough, and whoever waited may have been cancelled since."""
    if not stored.done():
        stored.set_result(None)
