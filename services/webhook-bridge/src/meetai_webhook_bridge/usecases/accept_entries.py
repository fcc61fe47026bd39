"""What the events stream brings: store, and only then acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from msgspec.structs import replace

from meetai_servicekit.patience import Patience
from meetai_servicekit.streams import Arrival, EntryStream
from meetai_webhook_bridge.domain.entries import StreamEntry, open_entry
from meetai_webhook_bridge.domain.errors import (
    RejectError,
)
from meetai_webhook_bridge.ports import Inbox, Measures

log = structlog.get_logger()


async def open_entries(arrivals: Sequence[Arrival]) -> tuple[StreamEntry, ...]:
    """Open a set of entries, letting webhooks be answered in between: the largest takes a few milliseconds."""
    opened: list[StreamEntry] = []
    for arrival in arrivals:
        opened.append(open_entry(arrival))
        await asyncio.sleep(0)
    return tuple(opened)


class AcceptEntries:
    """Answers for a set of entries of the events stream: they are acknowledged once they are stored for good."""

    def __init__(self, inbox: Inbox, *, patience: Patience, measures: Measures, wake_relay: Callable[[], None]) -> None:
        self._inbox = inbox
        self._patience = patience
        self._measures = measures
        self._wake_relay = wake_relay

    async def __call__(
        self, stream: EntryStream, entries: Sequence[StreamEntry], on_stored: Callable[[], None] = lambda: None
    ) -> None:
        """Store, say so, acknowledge, and wake the relay. Returns when that is done, however long a server is away.

        Raises:
            RejectError: not even the bytes of an entry can be stored; it stays pending.
        """
        new = await self._store(entries)
        on_stored()
        await self._patience.insist("acknowledge", partial(stream.acknowledge, [entry.entry_id for entry in entries]))
        self._measures.entries_accepted("new", new)
        self._measures.entries_accepted("duplicate", len(entries) - new)
        log.info(
            "entries_accepted",
            stream=stream.name,
            first_entry=entries[0].entry_id,
            last_entry=entries[-1].entry_id,
            entries=len(entries),
            new=new,
        )
        if new:
            self._wake_relay()

    async def _store(self, entries: Sequence[StreamEntry]) -> int:
        """Store; what is refused is halved until what is bad stands alone, and is kept as it came."""
        try:
            new = await self._patience.insist("accept entries", partial(self._inbox.accept_entries, entries))
        except RejectError as error:
            if len(entries) > 1:
                middle = len(entries) // 2
                return await self._store(entries[:middle]) + await self._store(entries[middle:])
            if entries[0].event is None:
                raise
            return await self._store([replace(entries[0], event=None, reason=f"refused: {error.reason}")])
        for entry in entries:
            if entry.event is None:
                self._measures.entries_accepted("unreadable", 1)
                log.error(
                    "entry_unreadable",
                    stream=entry.stream,
                    entry_id=entry.entry_id,
                    reason=entry.reason,
                    payload_bytes=len(entry.payload),
                    event_id=entry.ledger_id,
                )
        return new
