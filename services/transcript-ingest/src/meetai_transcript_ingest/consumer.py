"""What one shard's consumer does with a set of entries before it is stored. The loop is `meetai_servicekit.streams`'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.intake import Delivery, Unpacked, delivery_of, unpack
from meetai_transcript_ingest.domain.wire import LayOut

GROUP: Final = "transcript-ingest"
"""The consumer group of every replica."""
UNPACKED_AT_ONCE: Final = 50
"""Entries between two turns of the loop: about half a millisecond. One with bad lines, 1 ms and more, has a turn to itself."""

GARBAGE_THRESHOLD: Final = 20_000
"""Containers made and not freed until Python searches the youngest for cycles; 700 is its own. A set of 1,000 entries holds some 10,000
and not a cycle: searching them again and again took 8 % of the processor's time in Python."""


async def unpack_set(arrivals: Sequence[Arrival], *, lay_out: LayOut) -> Delivery:
    """Open a set of entries, letting the write that goes on have its turn: PostgreSQL waits for its rows.

    Args:
        arrivals: The entries.
        lay_out: Makes the store's rows of lines.
    """
    unpacked: list[Unpacked] = []
    for opened, arrival in enumerate(arrivals, 1):
        unpacked.append(unpack(arrival, lay_out))
        if unpacked[-1].letters or opened % UNPACKED_AT_ONCE == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    return delivery_of(arrivals, unpacked)


def joined(deliveries: Sequence[Delivery]) -> Delivery:
    """Several sets as one, in their order."""
    if len(deliveries) == 1:
        return deliveries[0]
    return Delivery(
        tuple([entry_id for one in deliveries for entry_id in one.entry_ids]),
        tuple([parcel for one in deliveries for parcel in one.parcels]),
        tuple([letter for one in deliveries for letter in one.letters]),
        tuple([traceparent for one in deliveries for traceparent in one.traceparents]),
    )
