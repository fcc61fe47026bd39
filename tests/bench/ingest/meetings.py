"""What is said in the benchmark: the meetings of the issue's own figure, as an agent's batches.

200 meetings of 1,000 lines, ten lines a batch as the agent flushes them, all meetings talking at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import redis
from msgspec import Struct
from tests.unit.transcript_ingest.producing import Producer

from meetai_contracts.transcript import BATCH_FIELD, encode_batch, shard_of, stream_key

MEETINGS = 200
LINES_A_BATCH = 10
PREFILL_PIPELINE = 1_000
WORDS = 12
TEXT = (
    "and so we would have to look at the numbers again before Friday because half of what they said was about another"
    " quarter altogether while Zoë's plan costs less than any that I have seen this year"
)


class Said(Struct, frozen=True):
    """Entries in the order in which they were sent, each with its meeting, and how many lines are in them."""

    entries: tuple[tuple[str, bytes], ...]
    lines: int

    @property
    def meetings(self) -> tuple[str, ...]:
        return tuple(sorted({meeting_id for meeting_id, _ in self.entries}))


def say(lines: int, *, meetings: int = MEETINGS, name: str = "meeting", lines_a_batch: int = LINES_A_BATCH) -> Said:
    """At least so many lines, the same sentences every time, from producers of their own."""
    chance = random.Random(4)
    producers = [Producer(f"{name}-{number:04}") for number in range(meetings)]
    entries: list[tuple[str, bytes]] = []
    while len(entries) * lines_a_batch < lines:
        for producer in producers:
            spoken = [producer.line(" ".join(chance.choices(TEXT.split(), k=WORDS))) for _ in range(lines_a_batch)]
            entries.append((producer.meeting_id, encode_batch(producer.batch(*spoken))))
    return Said(tuple(entries), len(entries) * lines_a_batch)


def prefill(client: redis.Redis, said: Said, *, shards: int) -> None:
    """Put all entries onto streams that are empty before."""
    client.delete(*[stream_key(shard) for shard in range(shards)])
    pipeline = client.pipeline(transaction=False)
    for number, (meeting_id, entry) in enumerate(said.entries, 1):
        pipeline.xadd(stream_key(shard_of(meeting_id, shards)), {BATCH_FIELD: entry})
        if number % PREFILL_PIPELINE == 0:
            pipeline.execute()
    pipeline.execute()


def meetings_by_shard(meetings: Sequence[str], shards: int) -> list[list[str]]:
    """Which meetings each shard carries."""
    return [[meeting for meeting in meetings if shard_of(meeting, shards) == shard] for shard in range(shards)]
