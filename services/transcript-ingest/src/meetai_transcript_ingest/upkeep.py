"""The loops that run beside the consumers, for all shards together.

Owns when each looks. Must not know what is told or removed, nor how.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from typing import Final

import structlog

from meetai_servicekit.patience import Patience, TryLaterError
from meetai_transcript_ingest.ports import DeadLetters, LineStore, Observer, Outbox
from meetai_transcript_ingest.usecases.erase import EraseMeeting
from meetai_transcript_ingest.usecases.expire import ExpireTranscripts
from meetai_transcript_ingest.usecases.publish import CompleteRooms, PublishEvents

RELAY_INTERVAL_SECONDS: Final = 1.0
"""One indexed query a second and replica: a completion is told within about a second."""
BACKLOG_INTERVAL_SECONDS: Final = 15.0

ERASURE_INTERVAL_SECONDS: Final = 2.0
"""Readers see nothing of an erased meeting meanwhile; this is how soon its rows begin to go after a crash."""

EXPIRY_INTERVAL_SECONDS: Final = 3_600.0
"""A partition falls due once a day; late arrivals of a day that is gone are seen for this long at most."""
EXPIRY_RETRY_SECONDS: Final = 60.0

PARTITION_DAYS_BEHIND: Final = 1
"""A job that started before midnight UTC, or a clock that is behind."""
PARTITION_DAYS_AHEAD: Final = 7
"""A week in which nobody can make one (PostgreSQL read-only, the service stopped) costs nothing."""
PARTITION_INTERVAL_SECONDS: Final = 3_600.0

Sleep = Callable[[float], Awaitable[None]]

log = structlog.get_logger()


async def relay_events(publish: PublishEvents, *, observer: Observer, sleep: Sleep) -> None:
    """Publish events as they become due."""
    while True:
        published = await attempt("publish", publish, observer)
        if published:
            observer.published(published)
        else:
            await sleep(RELAY_INTERVAL_SECONDS)


async def complete_rooms(complete: CompleteRooms, *, observer: Observer, sleep: Sleep) -> None:
    """Decide which rooms are complete, as they become quiet."""
    while True:
        if not await attempt("complete rooms", complete, observer):
            await sleep(RELAY_INTERVAL_SECONDS)


async def watch_outbox(outbox: Outbox, *, observer: Observer, sleep: Sleep) -> None:
    """Tell the observer what is still to be published."""

    async def look() -> int:
        observer.outbox_seen(await outbox.unsent())
        return 0

    while True:
        await attempt("outbox status", look, observer)
        await sleep(BACKLOG_INTERVAL_SECONDS)


async def watch_dead_letters(letters: DeadLetters, *, observer: Observer, sleep: Sleep) -> None:
    """Tell the observer how many wait for a person."""

    async def look() -> int:
        observer.letters_seen(await letters.kept())
        return 0

    while True:
        await attempt("dead letters status", look, observer)
        await sleep(BACKLOG_INTERVAL_SECONDS)


async def finish_erasures(erase: EraseMeeting, *, observer: Observer, sleep: Sleep) -> None:
    """Go on with erasures that the process which was asked for them has not finished."""
    while True:
        await sleep(ERASURE_INTERVAL_SECONDS)
        await attempt("erase", erase.go_on, observer)


async def expire(expire_transcripts: ExpireTranscripts, *, observer: Observer, sleep: Sleep) -> None:
    """Forget what is older than the retention; sooner again where somebody was in the way."""
    while True:
        is_done = await attempt("expire", expire_transcripts, observer)
        await sleep(EXPIRY_INTERVAL_SECONDS if is_done else EXPIRY_RETRY_SECONDS)


async def keep_partitions_ahead(
    store: LineStore, *, patience: Patience, today: Callable[[], date], sleep: Sleep
) -> None:
    """Have a partition ready for every day on which a producer may start."""
    while True:
        first_day = today() - timedelta(days=PARTITION_DAYS_BEHIND)
        days = PARTITION_DAYS_BEHIND + 1 + PARTITION_DAYS_AHEAD
        made = await patience.insist("partitions", partial(store.prepare_partitions, first_day, days))
        if made:
            log.info("partitions_made", made=made, until=(first_day + timedelta(days=days - 1)).isoformat())
        await sleep(PARTITION_INTERVAL_SECONDS)


async def attempt(what: str, work: Callable[[], Awaitable[int]], observer: Observer) -> int:
    """Do what can as well be done the next time; 0 when it could not be."""
    try:
        return await work()
    except TryLaterError as error:
        observer.postponed(what)
        log.warning("work_postponed", what=what, cause=str(error))
        return 0
