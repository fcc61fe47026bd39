"""The stream on a real Redis: away, hung, full, and with its replies cut; then a whole delivery through such days."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from tests.servers.cutting_proxy import Cut, CuttingProxy
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.fakes import RecordingCaptions, RecordingMeter, ScriptedEar, no_frames
from tests.unit.agent.samples import MAYA, covered, decoded, line, lines_of, new_producer
from tests.unit.agent.stream_suite import StreamSuite, StreamUnderTest
from tests.waiting import until

from meetai_agent.adapters.dead_spools import SpoolFolder
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.batches import Producer
from meetai_agent.domain.buffer import MAX_RAM_BYTES, MAX_RAM_LINES, TranscriptBuffer
from meetai_agent.domain.errors import StreamUnavailableError
from meetai_agent.domain.heard import FinalWords
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.replay import Replay
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import BATCH_FIELD, shard_of, stream_key

SHARDS = 3
IN_TIME_SECONDS = 2.7
"""The adapter's own 2 s and a busy machine."""


async def on_shard(url: str, shard: int) -> list[bytes]:
    """What a store would read of one stream."""
    async with Redis.from_url(url) as redis:
        found: list[tuple[bytes, dict[bytes, bytes]]] = await redis.xrange(stream_key(shard))  # type: ignore[assignment]  # redis-py's union of protocols
    return [fields[BATCH_FIELD.encode()] for _, fields in found]


async def entries(url: str, meeting_id: str) -> list[bytes]:
    """What a store would read of the stream that carries this meeting."""
    return await on_shard(url, shard_of(meeting_id, SHARDS))


def files(folder: Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in folder.iterdir()]


class RedisUnderTest:
    def __init__(self, url: str, proxy: CuttingProxy, stream: RedisBatchStream) -> None:
        self.stream = stream
        self.proxy = proxy
        self.url = url

    async def entries(self, meeting_id: str) -> list[bytes]:
        return await entries(self.url, meeting_id)

    async def go_away(self) -> None:
        self.proxy.refuse(True)

    async def come_back(self) -> None:
        self.proxy.refuse(False)

    async def cut_next_reply(self) -> None:
        self.proxy.cut_reply_to(b"XADD")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisUnderTest]:
    """A stream in an empty Redis, behind a proxy."""
    parts = urlsplit(redis_url)
    assert parts.port is not None
    async with CuttingProxy(parts.port) as proxy:
        url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()
        stream = RedisBatchStream(url, shards=SHARDS)
        yield RedisUnderTest(redis_url, proxy, stream)
        await stream.aclose()


class TestRedisStream(StreamSuite):
    """The stream in Redis."""

    @pytest.fixture
    def under_test(self, redis: RedisUnderTest) -> StreamUnderTest:
        return redis


async def test_an_attempt_ends_in_time_when_the_server_hangs(redis: RedisUnderTest) -> None:
    """On a connection that was open before, and on one that has to be made; readiness is told as well."""
    await redis.stream.append("standup", b"before")
    redis.proxy.hang(True)
    started = time.monotonic()
    attempts = [redis.stream.append("standup", b"meanwhile"), redis.stream.ping(), redis.stream.ping()]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert time.monotonic() - started < IN_TIME_SECONDS
    assert [type(outcome) for outcome in outcomes] == [StreamUnavailableError] * 3
    redis.proxy.hang(False)
    await redis.stream.append("standup", b"after")
    found = await redis.entries("standup")
    assert (found[0], found[-1]) == (b"before", b"after")


async def test_an_entry_is_refused_when_redis_is_full(redis: RedisUnderTest) -> None:
    """Under `noeviction` Redis denies writes; nothing that was there goes."""
    await redis.stream.append("standup", b"before")
    async with Redis.from_url(redis.url) as admin:
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        try:
            with pytest.raises(StreamUnavailableError):
                await redis.stream.append("standup", b"meanwhile")
        finally:
            await admin.config_set("maxmemory", "0")
    await redis.stream.append("standup", b"after")
    assert await redis.entries("standup") == [b"before", b"after"]


async def test_meetings_are_spread_when_there_are_several_streams(redis_url: str) -> None:
    """One meeting is always on one stream, the one that its id says."""
    stream = RedisBatchStream(redis_url, shards=SHARDS)
    for number in range(12):
        await stream.append(f"meeting {number}", f"{number}".encode())
    await stream.aclose()
    found = {shard: await on_shard(redis_url, shard) for shard in range(SHARDS)}
    assert all(f"{n}".encode() in found[shard_of(f"meeting {n}", SHARDS)] for n in range(12))
    assert sum(map(len, found.values())) == 12
    assert min(map(len, found.values())) > 0


class Job:
    """A producer with a real spool, delivering to a real Redis."""

    def __init__(self, folder: Path, stream: RedisBatchStream, producer: Producer, *, spool_bytes: int = 2**24) -> None:
        self.meter = RecordingMeter()
        self.spool = SpoolFile(folder, producer, max_bytes=spool_bytes)
        self.buffer = TranscriptBuffer(producer, random=random.random)
        self._producer = producer
        self._numbers = itertools.count(1)
        self.delivery = Delivery(
            producer, self.buffer, stream=stream, kept=self.spool, clock=SystemClock(), meter=self.meter
        )
        self.running = asyncio.create_task(self.delivery.run())

    def say(self, count: int) -> None:
        for _ in range(count):
            one = line(self._producer, next(self._numbers))
            self.delivery.add(one, self.spool.append(one))


async def test_everything_is_stored_in_order_when_redis_was_away(redis_server: EmbeddedServer, tmp_path: Path) -> None:
    """Away from the start until memory is full, and frozen in the middle: the store reads what was said, in order, with no gap."""
    await asyncio.to_thread(redis_server.kill)
    stream = RedisBatchStream(redis_server.url, shards=SHARDS)
    job = Job(tmp_path, stream, new_producer())
    job.say(25)
    await until(lambda: job.buffer.circuit_open)
    job.say(3000)
    await asyncio.to_thread(redis_server.start)
    await until(lambda: job.buffer.ram_lines == 0)
    failed = job.meter.counts["attempt_failed"]
    redis_server.pause()
    job.say(30)
    await until(lambda: job.meter.counts["attempt_failed"] > failed)
    redis_server.resume()
    job.say(7)
    job.delivery.close()
    async with asyncio.timeout(15):
        await job.running
    await stream.aclose()
    assert files(tmp_path) == []
    batches = decoded(await entries(redis_server.url, "standup"))
    seen = list(dict.fromkeys(covered(batches)))
    assert seen == list(range(1, 3063))
    assert [one.seq for one in {one.seq: one for one in lines_of(batches)}.values()] == seen
    assert batches[-1].kind == "close"
    assert batches[-1].high_water == 3062


async def test_a_dead_jobs_lines_are_stored_when_the_worker_replays_its_spool(redis_url: str, tmp_path: Path) -> None:
    """Also when Redis had some of them: the store keeps each id once. The file is gone then."""
    producer = new_producer()
    stream = RedisBatchStream(redis_url, shards=SHARDS)
    job = Job(tmp_path, stream, producer)
    job.say(25)
    await until(lambda: job.meter.counts["batch_sent:lines"] > 0)
    job.running.cancel()
    job.say(600)
    job.spool.release()
    meter = RecordingMeter()
    replay = Replay(SpoolFolder(tmp_path), stream=stream, clock=SystemClock(), meter=meter, random=random.random)
    assert await replay.sweep() == 1
    assert await replay.sweep() == 0
    await stream.aclose()
    assert files(tmp_path) == []
    batches = decoded(await entries(redis_url, "standup"))
    assert sorted(set(covered(batches))) == list(range(1, 626))
    assert {one.seq for one in lines_of(batches)} == set(range(1, 626))
    assert (batches[-1].kind, batches[-1].high_water) == ("close", 625)


async def test_captions_go_on_and_every_line_is_stored_once_in_order_when_redis_has_a_bad_day(
    redis: RedisUnderTest, tmp_path: Path
) -> None:
    """Slow, out of memory, away; and requests cut before, within and after: a write may have landed or not.

    Whatever Redis does, a final's caption is published before anything is waited for.
    """
    producer, meter, captions = new_producer(), RecordingMeter(), RecordingCaptions()
    spool = SpoolFile(tmp_path, producer, max_bytes=2**24)
    buffer = TranscriptBuffer(producer, random=random.random)
    delivery = Delivery(producer, buffer, stream=redis.stream, kept=spool, clock=SystemClock(), meter=meter)
    transcription = Transcription(
        producer, spool=spool, delivery=delivery, captions=captions, clock=SystemClock(), meter=meter
    )
    transcription.open()
    said = 0

    async def say(count: int) -> None:
        nonlocal said
        said += count
        words = [FinalWords(f"s{said}", f"words {n}", n, n + 1) for n in range(count)]
        await transcription.listen(MAYA, ScriptedEar(words), no_frames())
        assert len(captions.published) == said

    async def fail(beyond: int) -> None:
        failed = meter.counts["attempt_failed"]
        await until(lambda: meter.counts["attempt_failed"] >= failed + beyond)

    async with Redis.from_url(redis.url) as admin:
        redis.proxy.slow(0.2)
        await say(15)
        await until(lambda: meter.counts["batch_sent:lines"])
        redis.proxy.slow(0)
        for where in ("before", "within", "after"):
            redis.proxy.cut(Cut(b"XADD", where, times=2))
            await say(12)
            await until(lambda: redis.proxy.cuts == 2 and buffer.ram_lines == 0)
        await admin.config_set("maxmemory-policy", "noeviction")
        await admin.config_set("maxmemory", "1")
        try:
            await say(20)
            await fail(2)
        finally:
            await admin.config_set("maxmemory", "0")
        redis.proxy.refuse(True)
        await say(20)
        await fail(1)
        redis.proxy.refuse(False)
    assert await transcription.close()
    assert files(tmp_path) == []
    batches = decoded(await redis.entries("standup"))
    assert len(covered(batches)) > said, "something landed twice"
    assert list(dict.fromkeys(covered(batches))) == list(range(1, said + 1))
    assert {one.seq for one in lines_of(batches)} == set(range(1, said + 1)), "nothing is called lost"
    assert [batch.kind for batch in batches].count("gap") == 0
    assert (batches[-1].kind, batches[-1].high_water) == ("close", said)


@pytest.mark.parametrize("spool", ["small", "read-only"])
async def test_memory_is_bounded_and_the_loss_named_when_redis_and_the_disk_fail(
    redis: RedisUnderTest, tmp_path: Path, spool: str
) -> None:
    """Memory takes its 2,000 lines, the spool what it can, if any; the rest is a gap, in its place, and no more than that."""
    redis.proxy.refuse(True)
    producer = new_producer()
    job = Job(tmp_path if spool == "small" else Path("/proc/self/meetai"), redis.stream, producer, spool_bytes=320_000)
    job.say(5_000)
    assert job.buffer.ram_lines == MAX_RAM_LINES
    assert job.buffer.ram_bytes <= MAX_RAM_BYTES
    redis.proxy.refuse(False)
    job.say(1)
    job.delivery.close()
    async with asyncio.timeout(30):
        await job.running
    batches = decoded(await redis.entries("standup"))
    assert list(dict.fromkeys(covered(batches))) == list(range(1, 5_002))
    kept = {one.seq for one in lines_of(batches)}
    named = {seq for each in batches if each.kind == "gap" for seq in range(each.first_seq, each.last_seq + 1)}
    assert kept | named == set(range(1, 5_002))
    assert not kept & named
    assert set(range(1, MAX_RAM_LINES + 1)) <= kept
    assert (len(kept) > MAX_RAM_LINES + 1) == (spool == "small")
    assert named
    assert (batches[-1].kind, batches[-1].high_water) == ("close", 5_001)


async def test_a_damaged_record_is_named_when_its_spool_is_replayed(redis: RedisUnderTest, tmp_path: Path) -> None:
    """The lines around it are stored; the producer is closed."""
    redis.proxy.refuse(True)
    producer = new_producer()
    job = Job(tmp_path, redis.stream, producer)
    job.say(30)
    job.running.cancel()
    job.spool.release()
    path = tmp_path / files(tmp_path)[0]
    whole = path.read_bytes()
    at = whole.index(b"line 7") if b"line 7" in whole else len(whole) // 4
    path.write_bytes(whole[:at] + b"\xff\xff" + whole[at + 2 :])
    redis.proxy.refuse(False)
    replay = Replay(
        SpoolFolder(tmp_path), stream=redis.stream, clock=SystemClock(), meter=RecordingMeter(), random=random.random
    )
    assert await replay.sweep() == 1
    batches = decoded(await redis.entries("standup"))
    assert covered(batches) == list(range(1, 31))
    assert [each.last_seq - each.first_seq for each in batches if each.kind == "gap"] == [0]
    assert (batches[-1].kind, batches[-1].high_water) == ("close", 30)
    assert files(tmp_path) == []
