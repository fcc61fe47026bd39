"""Keeping a copy up to date by `updated_after`."""

from __future__ import annotations

import asyncio

from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.api import StoredLine
from meetai_contracts.transcript import BATCH_FIELD
from meetai_servicekit.postgres import create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.usecases import ReadTranscript


class Copy:
    """A client's copy of a transcript."""

    def __init__(self, read: ReadTranscript, meeting_id: str) -> None:
        self.lines: dict[str, StoredLine] = {}
        self._read = read
        self._meeting_id = meeting_id

    async def update(self) -> None:
        """Read to the last page, from the greatest `committedAt` of what is there."""
        after = max((line.committed_at for line in self.lines.values()), default=None)
        cursor = None
        while True:
            page = await self._read(self._meeting_id, cursor=cursor, limit=3, updated_after=after)
            self.lines |= {line.id: line for line in page.lines}
            cursor = page.next
            if cursor is None:
                return


async def test_poller_misses_nothing_when_an_older_transaction_commits_late(database_url: str) -> None:
    """Lines are dated by the start of their transaction: one that began first may be seen last."""
    async with create_pool(database_url, schema=SCHEMA, min_size=1, max_size=4, application="polling") as pool:
        copy = Copy(ReadTranscript(PostgresArchive(pool)), "polled")
        first, second, slow = Producer("polled"), Producer("polled", from_ms=100), Producer("other")
        parcels = [
            unpack(Arrival("stream", "1-1", {BATCH_FIELD.encode(): producer.say(5)})).parcels
            for producer in (slow, first, second)
        ]
        store = PostgresLineStore(pool)
        async with pool.connection() as connection:
            await store.write(connection, parcels[0], ())  # holds another meeting, so that nothing waits for it
            await connection.execute("UPDATE lines SET meeting_id = 'polled' WHERE meeting_id = 'other'")
            await connection.execute("UPDATE producers SET meeting_id = 'polled' WHERE meeting_id = 'other'")
            await store.commit(parcels[1], ())
            await copy.update()
            await store.commit(parcels[2], ())
            await copy.update()
            assert len(copy.lines) == 10
        await copy.update()
        assert set(copy.lines) == {line.id for producer in (first, second, slow) for line in producer.said}


async def test_poller_has_everything_when_writers_go_on_meanwhile(database_url: str) -> None:
    """Several producers, several replicas, a reader that never stops: at the end the copy is the transcript."""
    async with create_pool(database_url, schema=SCHEMA, min_size=1, max_size=6, application="polling") as pool:
        archive = PostgresArchive(pool)
        copy = Copy(ReadTranscript(archive), "polled")
        producers = [Producer("polled", from_ms=-1000 * number) for number in range(4)]
        writing = True

        async def write(producer: Producer) -> None:
            for _ in range(15):
                arrival = Arrival("stream", "1-1", {BATCH_FIELD.encode(): producer.say(2)})
                await PostgresLineStore(pool).commit(unpack(arrival).parcels, ())

        async def poll() -> None:
            while writing:
                await copy.update()
            await copy.update()

        polling = asyncio.create_task(poll())
        await asyncio.gather(*(write(producer) for producer in producers))
        writing = False
        async with asyncio.timeout(20):
            await polling
        assert set(copy.lines) == {line.id for line in await archive.lines_after("polled", None, 1000)}
        assert len(copy.lines) == 120
