"""Store what arrives, however often it has to be tried.

Owns the order of things: durable first, acknowledged after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from opentelemetry.trace import Tracer
from opentelemetry.util.types import AttributeValue

from meetai_servicekit.patience import Patience
from meetai_servicekit.streams import EntryStream
from meetai_servicekit.tracing import NO_TRACING, consuming_span
from meetai_transcript_ingest.domain.errors import RefusedError, TooSlowError, UnstorableError
from meetai_transcript_ingest.domain.intake import Delivery
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, dead_parcel, halves, with_lines
from meetai_transcript_ingest.ports import Committed, LineStore, Observer

TRIES_WHOLE: Final = 2
"""A set that is too slow is offered so often before it is divided: a server that was busy, or a lock, may be why."""

_Part = tuple[Sequence[Parcel], Sequence[DeadLetter]]

log = structlog.get_logger()


class StoreEntries:
    """Everything in a set of entries, durable or in a dead letter, and only then acknowledged."""

    def __init__(
        self,
        store: LineStore,
        *,
        patience: Patience,
        observer: Observer,
        monotonic: Callable[[], float],
        unix_seconds: Callable[[], float],
        tracer: Tracer = NO_TRACING.tracer,
    ) -> None:
        self._store = store
        self._patience = patience
        self._observer = observer
        self._monotonic = monotonic
        self._unix_seconds = unix_seconds
        self._tracer = tracer

    async def __call__(
        self, stream: EntryStream, delivery: Delivery, on_stored: Callable[[], None] = lambda: None
    ) -> None:
        """Store, say so, and acknowledge. Returns when that is done, however long a server is away.

        Raises:
            UnstorableError: a dead letter was refused.
        """
        about: dict[str, AttributeValue] = {"meetai.stream": stream.name, "meetai.entries": len(delivery.entry_ids)}
        with consuming_span(self._tracer, "transcript.commit", delivery.traceparents, about) as span:
            outcome = await self._commit(stream, delivery)
            span.set_attribute("meetai.lines", outcome.lines)
        on_stored()
        await self._patience.insist("acknowledge", lambda: stream.acknowledge(delivery.entry_ids))

    async def _commit(self, stream: EntryStream, delivery: Delivery) -> Committed:
        started = self._monotonic()
        outcome = await self._store_all(delivery.parcels, delivery.letters)
        seconds = self._monotonic() - started
        self._observer.committed(stream.name, len(delivery.entry_ids), outcome, seconds)
        self._tell_waits(stream, delivery.parcels)
        log.info(
            "batch_committed",
            stream=stream.name,
            first_entry=delivery.entry_ids[0],
            last_entry=delivery.entry_ids[-1],
            entries=len(delivery.entry_ids),
            lines=outcome.lines,
            duplicates=outcome.duplicates,
            conflicts=outcome.conflicts,
            erased=outcome.erased,
            malformed=len(delivery.letters),
            ms=round(seconds * 1000, 2),
        )
        return outcome

    def _tell_waits(self, stream: EntryStream, parcels: Sequence[Parcel]) -> None:
        """How long words have waited, and which never come. Two clocks: one that is behind makes no negative wait."""
        now = self._unix_seconds()
        waits = [max(0.0, now - parcel.spoken_ms / 1000) for parcel in parcels if parcel.spoken_ms is not None]
        self._observer.durable(stream.name, waits)
        lost = sum(last - first + 1 for parcel in parcels for first, last in parcel.declaration.gaps)
        if lost:
            self._observer.named_lost(stream.name, lost)
            log.error("lines_named_lost", stream=stream.name, lines=lost)

    async def _store_all(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Committed:
        """Commit; what the store refuses is halved until what is bad stands alone in a dead letter.

        What is too slow for it is halved until it isn't, and never dies of that.
        """
        parts: Sequence[_Part] = ()
        slow = 0

        async def commit() -> Committed | None:
            nonlocal parts, slow
            try:
                return await self._store.commit(parcels, letters)
            except TooSlowError:
                slow += 1
                if slow >= TRIES_WHOLE:
                    parts = _parts(parcels, letters)
                if not parts:
                    raise
                return None

        try:
            outcome = await self._patience.insist("commit", commit)
        except RefusedError as error:
            return await self._divide(parcels, letters, str(error))
        if outcome is None:
            log.warning("slow_set_divided", parcels=len(parcels), letters=len(letters))
            return await self._store_parts(parts)
        for letter in letters:
            self._observer.dead_lettered(letter.reason, 1)
        if outcome.conflicts:
            self._observer.dead_lettered("conflict", outcome.conflicts)
        return outcome

    async def _divide(self, parcels: Sequence[Parcel], letters: Sequence[DeadLetter], detail: str) -> Committed:
        if not parcels:
            raise UnstorableError(detail)
        parts = _parts(parcels, letters)
        return await self._store_parts(parts) if parts else await self._bury(parcels[0], detail)

    async def _store_parts(self, parts: Sequence[_Part]) -> Committed:
        outcome = Committed(lines=0)
        for parcels, letters in parts:
            outcome = _sum(outcome, await self._store_all(parcels, letters))
        return outcome

    async def _bury(self, parcel: Parcel, detail: str) -> Committed:
        """Dead-letter what can't be divided, yet keep what it says of its producer, if the store takes that."""
        letter = dead_parcel(parcel, "refused", detail)
        if parcel.lines:
            try:
                return await self._store_with(with_lines(parcel, ()), letter)
            except RefusedError:
                pass
        return await self._store_all((), (letter,))

    async def _store_with(self, parcel: Parcel, letter: DeadLetter) -> Committed:
        outcome = await self._patience.insist("commit", lambda: self._store.commit((parcel,), (letter,)))
        self._observer.dead_lettered(letter.reason, 1)
        return outcome


def _parts(parcels: Sequence[Parcel], letters: Sequence[DeadLetter]) -> Sequence[_Part]:
    """Two smaller writes that together are this one, in its order, letters first; none where it can't be divided."""
    if parcels and letters:
        return ((), letters), (parcels, ())
    if parcels:
        divided = halves(parcels)
        return [(half, ()) for half in divided] if divided else ()
    middle = len(letters) // 2
    return [((), letters[:middle]), ((), letters[middle:])] if middle else ()


def _sum(one: Committed, other: Committed) -> Committed:
    return Committed(
        lines=one.lines + other.lines,
        duplicates=one.duplicates + other.duplicates,
        conflicts=one.conflicts + other.conflicts,
        erased=one.erased + other.erased,
    )
