"""Several agents at work: batches onto the stream for as long as the test wants, retried with the same bytes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.integration.transcript_ingest.ingest_process import Ingest
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key

PAUSE_SECONDS = 0.002
"""Between two entries: 5,000 lines/s of ten-line batches at most, a fraction of what one replica stores."""


class Load:
    """Meetings whose agents say something all the time; every tenth entry is sent twice, as a retry is."""

    def __init__(self, redis_url: str, meetings: int) -> None:
        self.producers = [Producer(f"meeting {number}") for number in range(meetings)]
        self.sent = 0
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        self._random = random.Random(4)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Let every agent end its meeting."""
        self._stopping.set()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
        for producer in self.producers:
            self._send(producer.close())
        self._redis.close()

    def wait_for(self, entries: int) -> None:
        """Until that many more entries are on the stream."""
        goal = self.sent + entries
        wait_until(lambda: self.sent >= goal, seconds=30)

    def _run(self) -> None:
        for producer in self.producers:
            self._send(producer.open())
        while not self._stopping.is_set():
            entry = self._random.choice(self.producers).say(self._random.randint(1, 10))
            for _ in range(2 if self._random.random() < 0.1 else 1):
                self._send(entry)
            self._stopping.wait(PAUSE_SECONDS)

    def _send(self, entry: bytes) -> None:
        while True:
            try:
                self._redis.xadd(stream_key(0), {BATCH_FIELD: entry})
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(PAUSE_SECONDS * 10)  # the agent's own backoff
            else:
                self.sent += 1
                return


@contextmanager
def load(redis_url: str, *, meetings: int = 8) -> Iterator[Load]:
    """Agents that talk until the block ends or `finish` is called."""
    running = Load(redis_url, meetings)
    running.start()
    try:
        yield running
    finally:
        running._stopping.set()
        running._thread.join(timeout=30)


def assert_everything_is_stored_once(replica: Ingest, said: Load, *, seconds: float) -> None:
    """Every meeting is complete within the time, and reads back line for line."""
    wait_until(lambda: all(replica.is_complete(producer.meeting_id) for producer in said.producers), seconds=seconds)
    for producer in said.producers:
        stored = replica.transcript(producer.meeting_id)
        assert [(line.id, line.text) for line in stored] == [(line.id, line.text) for line in producer.said]
