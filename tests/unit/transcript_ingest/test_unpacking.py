"""A set of entries is opened without keeping the loop from what else it has to do."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec

from meetai_contracts.transcript import BATCH_FIELD
from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.adapters.copy_rows import lay_out
from meetai_transcript_ingest.consumer import unpack_set


async def test_loop_has_a_turn_after_each_entry_when_they_hold_bad_lines() -> None:
    """A thousand bad lines take milliseconds, where a good entry takes some hundredths of one."""
    data = msgspec.msgpack.encode([1, "lines", "m", "RM", uuid4().bytes, 1, 1_000, 1_000, [None] * 1_000])
    unpacking = asyncio.create_task(
        unpack_set([Arrival("stream", f"1-{i}", {BATCH_FIELD.encode(): data}) for i in range(20)], lay_out=lay_out)
    )
    turns = 0
    while not unpacking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 20
    assert len((await unpacking).letters) == 20
