"""Two hundred meetings of a thousand lines, sent while replicas are being killed, read back byte for byte."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.integration.transcript_ingest.ingest_process import Ingest, ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.api import stored_line
from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.streams.redis_stream import RECLAIM_IDLE_MS

pytestmark = pytest.mark.timeout(900)  # above its own waits, which say what was waited for
MEETINGS = 200
LINES = 1_000
KILLS = 6
ENTRIES_A_PIPELINE = 50
TAKEN_OVER_SECONDS = RECLAIM_IDLE_MS / 1000 + 60
"""The idle time of a dead consumer's entries, and two busy cores."""


def test_every_meeting_reads_back_byte_for_byte_when_replicas_are_killed_all_the_while(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Two replicas, killed in turn at random instants and started again; every tenth entry is sent twice, as a retry is."""
    chance = random.Random(7)
    producers = [Producer(f"meeting {number}", from_ms=number) for number in range(MEETINGS)]
    sent = _Sent()
    sending = threading.Thread(target=_send_all, args=(redis_url, producers, sent, chance), name="sending")
    with ingest(tmp_path, database_url, redis_url) as one, ingest(tmp_path, database_url, redis_url) as other:
        sending.start()
        for replica in itertools.islice(itertools.cycle((one, other)), KILLS):
            sent.wait_for(chance.randint(1_000, 2_500))
            replica.kill()
            replica.restart()
            wait_until(replica.is_ready, seconds=60)
        sending.join(timeout=120)
        assert not sending.is_alive()
        wait_until(lambda: _all_complete(one, producers), seconds=TAKEN_OVER_SECONDS)
        for producer in producers:
            stored = one.transcript(producer.meeting_id)
            expected = [
                stored_line(line, line_stored.committed_at)
                for line, line_stored in zip(producer.said, stored, strict=True)
            ]
            assert stored == expected
            assert len(stored) == LINES


class _Sent:
    """How many entries are on the stream; waited for by the one who kills."""

    def __init__(self) -> None:
        self.entries = 0
        self.done = False

    def wait_for(self, more: int) -> None:
        goal = self.entries + more
        wait_until(lambda: self.entries >= goal or self.done, seconds=120)


def _send_all(redis_url: str, producers: list[Producer], sent: _Sent, chance: random.Random) -> None:
    """All meetings side by side, each batch after the one before it in its meeting."""
    server = redis.Redis.from_url(redis_url)
    entries = _interleaved(producers, chance)
    while batch := list(itertools.islice(entries, ENTRIES_A_PIPELINE)):
        pipeline = server.pipeline(transaction=False)
        for entry in batch:
            pipeline.xadd(stream_key(0), {BATCH_FIELD: entry})
        pipeline.execute()
        sent.entries += len(batch)
    sent.done = True
    server.close()


def _interleaved(producers: list[Producer], chance: random.Random) -> Iterator[bytes]:
    yield from (producer.open() for producer in producers)
    talking = list(producers)
    while talking:
        producer = chance.choice(talking)
        entry = producer.say(min(chance.randint(1, 20), LINES - producer.seq))
        yield entry
        if chance.random() < 0.1:
            yield entry
        if producer.seq == LINES:
            yield producer.close()
            talking.remove(producer)


def _all_complete(replica: Ingest, producers: list[Producer]) -> bool:
    return all(replica.is_complete(producer.meeting_id) for producer in reversed(producers))
