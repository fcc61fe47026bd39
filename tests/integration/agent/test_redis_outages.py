"""Redis away, full or hanging, and a spool that fails: what is said is stored once each in order, or named lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest
from redis.asyncio import Redis
from tests.integration.agent.redis_under_test import SHARDS, RedisUnderTest, entries, files, redis
from tests.servers.cutting_proxy import Cut
from tests.servers.embedded import EmbeddedServer
from tests.unit.agent.fakes import RecordingCaptions, RecordingMeter, ScriptedEar, no_frames
from tests.unit.agent.samples import MAYA, covered, decoded, line, lines_of, new_producer
from tests.waiting import until

from meetai_agent.adapters.dead_spools import SpoolFolder
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.batches import Producer
from meetai_agent.domain.buffer import MAX_RAM_BYTES, MAX_RAM_LINES, TranscriptBuffer
from meetai_agent.domain.heard import FinalWords
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.replay import Replay
from meetai_agent.usecases.transcribe import Transcription

__all__ = ["redis"]


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
        await transcription.listen(lambda: MAYA, ScriptedEar(words), no_frames())
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
