"""A search index over a database of the test's own, and short ways to fill and to ask it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.transcript import BATCH_FIELD, encode_batch
from meetai_servicekit.postgres import Pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.postgres_search import PostgresSearchIndex
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import Parcel
from meetai_transcript_ingest.domain.search import Found, SearchFilter, parse_query

ANYWHERE = SearchFilter()


def said(producer: Producer, *lines: tuple[str, str | None]) -> list[Parcel]:
    """A batch of these texts, each in its language."""
    made = [msgspec.structs.replace(producer.line(text), language=language) for text, language in lines]
    entry = encode_batch(producer.batch(*made))
    return list(unpack(Arrival("stream", "1-1", {BATCH_FIELD.encode(): entry})).parcels)


async def store(pool: Pool, producer: Producer, *texts: str, language: str | None = None) -> None:
    await PostgresLineStore(pool).commit(said(producer, *[(text, language) for text in texts]), ())


async def index_all(index: PostgresSearchIndex) -> None:
    while await index.index_some(500):
        pass


async def found(
    index: PostgresSearchIndex, query: str, wanted: SearchFilter = ANYWHERE, limit: int = 100
) -> Sequence[Found]:
    return (await index.search(parse_query(query), wanted, None, limit)).found


async def texts(index: PostgresSearchIndex, query: str, wanted: SearchFilter = ANYWHERE) -> list[str]:
    return [each.text for each in await found(index, query, wanted)]


async def entries(pool: Pool) -> int:
    """How many lines the index knows of, erased or not."""
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT count(*) FROM search_lines")).fetchone()
        return int(row[0]) if row else 0
