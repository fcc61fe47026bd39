"""Whatever producers and the stream do to entries, PostgreSQL ends as the model does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.transcript_ingest.fakes import FakeStore
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.api import StoredLine
from meetai_contracts.transcript import TranscriptBatch, decode_batch, encode_batch
from meetai_servicekit.postgres import create_pool
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.adapters.postgres import SCHEMA
from meetai_transcript_ingest.adapters.postgres_archive import PostgresArchive
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.domain.parcels import Parcel
from meetai_transcript_ingest.ports import Archive, Committed

SIZES = (1, 4, 3)
"""Lines of each producer's batches."""
Sent = tuple[int, str]
"""Which of the batches, and what has become of it: a retry, a part of it, or its ids used for something else."""

sent = st.tuples(st.integers(0, 2 * len(SIZES) - 1), st.sampled_from(["whole", "first half", "second half", "changed"]))
schedules = st.lists(st.lists(sent, min_size=1, max_size=6), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedules)
def test_lines_are_stored_as_in_the_model_when_entries_are_repeated_reordered_split_or_changed(
    module_database_url: str, schedule: list[list[Sent]]
) -> None:
    """Each list is a set that is written together: the same lines, outcomes and proofs, first come, first kept."""

    async def run() -> None:
        producers = Producer(), Producer()
        batches = [decode_batch(producer.say(size)) for size in SIZES for producer in producers]
        model = FakeStore()
        async with create_pool(module_database_url, schema=SCHEMA, min_size=1, max_size=1, application="any") as pool:
            async with pool.connection() as connection:
                await connection.execute("TRUNCATE lines, producers, meetings, dead_letters, search_due")
            store, archive = PostgresLineStore(pool), PostgresArchive(pool)
            for number, together in enumerate(schedule):
                entries = [_become(batches[index], fate) for index, fate in together]
                parcels = _parcels(entries, number)
                assert _counts(await store.commit(parcels, ())) == _counts(await model.commit(parcels, ()))
            assert await _said(archive) == await _said(model)
            assert (await archive.version("standup")).position >= len(await _said(model))
            assert [
                (about.producer_id, about.declared, about.stored, about.dead, about.present_ranges)
                for about in await archive.producers("standup")
            ] == [
                (about.producer_id, about.declared, about.stored, about.dead, about.present_ranges)
                for about in await model.producers("standup")
            ]

    asyncio.run(run())


def _become(batch: TranscriptBatch, fate: str) -> bytes:
    lines = batch.lines
    if fate == "changed":
        lines = (msgspec.structs.replace(lines[0], text="something else"), *lines[1:])
    elif fate == "first half":
        lines = lines[: max(1, len(lines) // 2)]
    elif fate == "second half":
        lines = lines[len(lines) // 2 :]
    return encode_batch(msgspec.structs.replace(batch, lines=lines, first_seq=lines[0].seq, last_seq=lines[-1].seq))


def _parcels(entries: Sequence[bytes], number: int) -> list[Parcel]:
    arrivals = [Arrival("stream", f"{number + 1}-{at}", {b"b": entry}) for at, entry in enumerate(entries)]
    return [parcel for arrival in arrivals for parcel in unpack(arrival, lay_out).parcels]


def _counts(outcome: Committed) -> tuple[int, int, int]:
    return outcome.lines, outcome.duplicates, outcome.conflicts


async def _said(archive: Archive) -> list[tuple[str, str]]:
    lines: tuple[StoredLine, ...] = await archive.lines_after("standup", None, 1_000)
    return [(line.id, line.text) for line in lines]
