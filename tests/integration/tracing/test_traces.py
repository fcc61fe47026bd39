"""Traces through the real exporter over HTTP: from a final to its commit, from a webhook to Inngest, and round every request."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from livekit import rtc
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from redis.asyncio import Redis
from tests.integration.transcript_ingest.ingest_process import READER_KEY, Ingest, ingest
from tests.integration.webhook_bridge.bridge_process import bridge
from tests.integration.webhook_bridge.inngest_stub import InngestStub
from tests.servers.collector import CollectedSpan, Collector, collector
from tests.servers.service_process import ServiceProcess
from tests.unit.agent.fakes import RecordingMeter, ScriptedEar
from tests.unit.agent.samples import new_producer
from tests.unit.transcript_ingest.producing import Producer
from tests.unit.webhook_bridge.webhooks import room_finished
from tests.waiting import until, wait_until

from meetai_agent.adapters.livekit_captions import CaptionChannel
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.heard import FinalWords
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import BATCH_FIELD, LIVE_TOPIC, TRACE_FIELD, LiveTranscript, Speaker, stream_key
from meetai_servicekit.postgres import migrate
from meetai_servicekit.tracing import start_tracing
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA
from meetai_webhook_bridge.adapters import postgres as bridge_postgres

IN_TIME_SECONDS = 30
SAID = "nobody else's business"
NAME = "Ada Lovelace"
DELIVERED = "meetai_bridge_event_delivery_seconds_bucket"
SENDER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def database_url(postgres_url: str) -> str:
    migrate(postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    return postgres_url


def logged(replica: Ingest, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in replica.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def say(folder: Path, redis_url: str, collected: Collector) -> None:
    """What an agent's job does with a final and its close; without LiveKit, so that a caption is sent to nobody."""
    producer, meter, clock = new_producer(), RecordingMeter(), SystemClock()
    tracing = start_tracing("agent", collected.url)
    stream = RedisBatchStream(redis_url, shards=1)
    spool = SpoolFile(folder, producer, max_bytes=1_000_000)
    buffer = TranscriptBuffer(producer, random=random.random)
    delivery = Delivery(producer, buffer, stream=stream, kept=spool, clock=clock, meter=meter, tracer=tracing.tracer)
    captions = CaptionChannel(LIVE_TOPIC, _taken, meter=meter, tracer=tracing.tracer)
    transcription = Transcription(
        producer, spool=spool, delivery=delivery, captions=captions, clock=clock, meter=meter, tracer=tracing.tracer
    )
    transcription.open()
    now = clock.unix_ms()
    ear = ScriptedEar([FinalWords("segment", SAID, now - 1000, now, "en")])
    await transcription.listen(lambda: Speaker("ada", NAME, "human"), ear, _no_frames())
    assert await transcription.close()
    await until(lambda: meter.waits[LIVE_TOPIC], seconds=IN_TIME_SECONDS)
    await captions.aclose()
    await stream.aclose()
    await asyncio.to_thread(tracing.close)


async def _taken(_caption: LiveTranscript) -> None:
    """A room that takes every caption."""


async def _no_frames() -> AsyncGenerator[rtc.AudioFrame, None]:
    nothing: tuple[rtc.AudioFrame, ...] = ()
    for frame in nothing:
        yield frame


async def test_a_lines_trace_runs_from_its_final_to_its_caption_and_its_commit(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Two processes, one trace, and its id in ingest's log; of what was said and by whom there is nothing in it."""
    with collector() as collected:
        await say(tmp_path, redis_url, collected)
        flushes = {span.span_id: span for span in collected.named("transcript.flush")}
        assert {span.attributes["meetai.batch_kind"] for span in flushes.values()} >= {"lines", "close"}
        (lines,) = [span for span in flushes.values() if span.attributes["meetai.batch_kind"] == "lines"]
        (final,), (caption,) = collected.named("transcript.line"), collected.named("caption.publish")
        assert (final.service, final.parent_id) == ("agent", "")
        assert {lines.trace_id, caption.trace_id} == {final.trace_id}
        assert (lines.parent_id, lines.links, caption.parent_id) == (final.span_id, (final.span_id,), final.span_id)
        assert caption.attributes["meetai.line_id"] == final.attributes["meetai.line_id"]

        # One entry alone, as when nobody else talks, and then the others: a set that carries several traces is linked to each.
        async with Redis.from_url(redis_url) as server:
            entries: list[Any] = await server.xrange(stream_key(0)) or []
            assert len(entries) == len(flushes)
            alone = next(fields for _, fields in entries if lines.span_id.encode() in fields[TRACE_FIELD.encode()])
            await server.delete(stream_key(0))
            await server.xadd(stream_key(0), alone)
            extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url}
            with ingest(tmp_path, database_url, redis_url, extra=extra) as replica:
                await until(lambda: collected.named("transcript.commit"), seconds=IN_TIME_SECONDS)
                (commit,) = collected.named("transcript.commit")
                assert (commit.service, commit.trace_id) == ("transcript-ingest", lines.trace_id)
                assert (commit.parent_id, commit.links) == (lines.span_id, (lines.span_id,))
                assert commit.attributes["meetai.lines"] == 1
                assert logged(replica, "batch_committed")[0]["trace_id"] == lines.trace_id
                assert lines.trace_id in exemplars(replica, "meetai_ingest_durable_seconds_bucket")

                async with server.pipeline() as several:
                    for _, fields in entries:
                        several.xadd(stream_key(0), fields)
                    await several.execute()
                await until(lambda: _linked(collected) >= flushes.keys(), seconds=IN_TIME_SECONDS)
                assert replica.terminate() == 0
        for span in collected.spans:
            assert SAID.encode() not in span.raw
            assert NAME.encode() not in span.raw


def exemplars(replica: ServiceProcess, series: str) -> set[str]:
    """The traces that a histogram leads to, for a scraper that accepts OpenMetrics."""
    answer = httpx.get(f"{replica.url}/metrics", headers={"Accept": "application/openmetrics-text"}, timeout=15)
    families = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]  # untyped upstream
    samples = [sample for family in families for sample in family.samples if sample.name == series]
    return {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar}


def test_a_webhooks_trace_runs_through_the_inbox_to_inngest(tmp_path: Path, postgres_url: str) -> None:
    """From the request to every attempt, also one that another process makes later; the event carries it on."""
    migrate(postgres_url, schema=bridge_postgres.SCHEMA, migrations=bridge_postgres.MIGRATIONS)
    inngest = InngestStub()
    inngest.start()
    inngest.fault_forever = "500"
    with collector() as collected:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url}
        with bridge(tmp_path, postgres_url, inngest.url, extra=traced) as replica:
            assert replica.deliver(room_finished()).status_code == 200
            wait_until(lambda: collected.named("event.deliver"), seconds=IN_TIME_SECONDS)
            assert replica.terminate() == 0
        (request,) = collected.named("POST /webhooks/livekit")
        failed = collected.named("event.deliver")[0]
        assert (failed.trace_id, failed.parent_id) == (request.trace_id, request.span_id)
        inngest.fault_forever = None
        with bridge(tmp_path, postgres_url, inngest.url, extra=traced) as other:
            wait_until(lambda: inngest.taken, seconds=IN_TIME_SECONDS)
            wait_until(lambda: exemplars(other, DELIVERED), seconds=IN_TIME_SECONDS)
            assert exemplars(other, DELIVERED) == {request.trace_id}
            assert other.terminate() == 0
        sent = collected.named("event.deliver")[-1]
        assert (sent.trace_id, sent.parent_id) == (request.trace_id, request.span_id)
        assert sent.attributes["meetai.event_id"] == "livekit-room_finished-RM_1"
        assert sent.attributes["meetai.attempt"] > failed.attributes["meetai.attempt"]
        assert inngest.taken[0]["data"]["traceparent"].split("-")[1:3] == [request.trace_id, request.span_id]
    inngest.stop()


def _linked(collected: Collector) -> set[str]:
    return {link for span in collected.named("transcript.commit") for link in span.links}


def test_a_request_is_traced_by_its_route_alone(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """It goes on with its caller's trace, its log line names it; no query, path, address or token is in it."""
    with (
        collector() as collected,
        ingest(tmp_path, database_url, redis_url, extra={"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url}) as replica,
    ):
        headers = {"Authorization": f"Bearer {READER_KEY}", "traceparent": SENDER, "User-Agent": "secret-agent"}
        url = f"{replica.url}/v1/search?q=secret-words&meeting_id=secret-meeting"
        assert httpx.get(url, headers=headers, timeout=15).status_code == 200
        assert httpx.get(f"{replica.url}/v1/search?q=%ff", headers=headers, timeout=15).status_code < 500
        assert replica.get("/v1/meetings/secret-meeting/transcript").status_code == 200
        wait_until(lambda: len(_requests(collected)) == 3, seconds=IN_TIME_SECONDS)
        names = [span.name for span in _requests(collected)]
        assert names == ["GET /v1/search", "GET /v1/search", "GET /v1/meetings/{meeting_id}/transcript"]
        searched = _requests(collected)[0]
        assert (searched.trace_id, searched.parent_id) == tuple(SENDER.split("-")[1:3])
        assert searched.attributes["http.route"] == "/v1/search"
        assert searched.attributes["http.status_code"] == 200
        assert not [span for span in collected.spans if b"secret" in span.raw or READER_KEY.encode() in span.raw]
        assert not [span for span in collected.spans if "readyz" in span.name or "metrics" in span.name]
        served = [line for line in logged(replica, "request_served") if line["route"] == "/v1/search"]
        assert served[0]["trace_id"] == searched.trace_id


def _requests(collected: Collector) -> list[CollectedSpan]:
    return [span for span in collected.spans if span.name.startswith("GET ")]


def test_lines_are_stored_when_the_traceparent_is_garbage_and_the_collector_is_away(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    """Neither is worth a line."""
    extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with (
        ingest(tmp_path, database_url, redis_url, extra=extra) as replica,
        redis.Redis.from_url(redis_url) as server,
    ):
        producer = Producer("garbled")
        for traceparent in (b"", b"\xff" * 55, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"x" * 100_000):
            server.xadd(stream_key(0), {BATCH_FIELD: producer.say(1), TRACE_FIELD: traceparent})
        server.xadd(stream_key(0), {BATCH_FIELD: producer.close()})
        wait_until(lambda: replica.is_complete("garbled"), seconds=IN_TIME_SECONDS)
        assert replica.terminate() == 0


def test_nothing_of_the_sdk_is_imported_when_there_is_no_endpoint() -> None:
    """Who doesn't trace doesn't pay for it."""
    code = (
        "import sys; from meetai_servicekit.tracing import start_tracing; t = start_tracing('x', None);"
        "t.close(); assert t.http_middleware(frozenset()) == [];"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
