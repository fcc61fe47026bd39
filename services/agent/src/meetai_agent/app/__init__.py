"""The composition root: settings to a running worker, and, in each job's process, settings to a running session.

The framework starts jobs in processes of their own and finds these functions by name, so they are module-level, and what
they share in a process is in `JobProcess.userdata`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from litestar import Litestar
from livekit.agents import AgentServer, AutoSubscribe, JobContext, JobProcess
from prometheus_client import CollectorRegistry
from uuid_utils.compat import uuid7

from meetai_agent.adapters.dead_spools import SpoolFolder
from meetai_agent.adapters.framework_log import keep_words_out_of_the_log
from meetai_agent.adapters.job_counts import JobCounts
from meetai_agent.adapters.livekit_agents import RoomAgents
from meetai_agent.adapters.livekit_captions import RoomCaptions
from meetai_agent.adapters.microphone import ParticipantMicrophone
from meetai_agent.adapters.outbox_files import OutboxFolder
from meetai_agent.adapters.prometheus_meter import JobMeter, ReplayMeter, RetellingMeter
from meetai_agent.adapters.providers.recognisers import Recognisers, check_recogniser, load_recogniser
from meetai_agent.adapters.providers.responders import OFF as NO_RESPONDER
from meetai_agent.adapters.providers.responders import check_responder, load_responder
from meetai_agent.adapters.providers.voices import check_voice, load_voice
from meetai_agent.adapters.redis_events import RedisEventStream
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.adapters.worker_gauges import Load, WorkerGauges
from meetai_agent.app.approvals import open_approvals
from meetai_agent.app.talking import start_conversation
from meetai_agent.domain.batches import Producer
from meetai_agent.domain.briefing import Recollection
from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.http import create_http
from meetai_agent.metadata import MetadataChanges
from meetai_agent.session import MeetingSession
from meetai_agent.settings import AgentSettings
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.one_agent import OneAgent
from meetai_agent.usecases.replay import Replay
from meetai_agent.usecases.retell import Retelling
from meetai_agent.usecases.transcribe import Transcription
from meetai_agent.worker import Worker, answer_request, load_by_jobs, read_metadata
from meetai_servicekit.background import ProcessFate, running
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.server import serve
from meetai_servicekit.settings import exit_with_problems, load, load_or_exit
from meetai_servicekit.tracing import start_tracing

NEVER_GIVE_UP: Final = 1_000_000
"""Attempts to reach LiveKit, at most 10 s apart; readiness tells meanwhile that there is no registration."""
SESSION_END_SECONDS: Final = 85.0
"""Above the session's own bounds: 5 s to tell decisions, 40 s for the last words and 30 s for the last flush. Below the worker's
90 s to close."""

log = structlog.get_logger()


def main() -> int:
    """Run a worker until SIGTERM. Returns the exit code: 2 for bad settings, 1 for a failure."""
    settings = load_or_exit(AgentSettings, os.environ)
    configure_logging("agent", settings.log_level)
    if problems := provider_problems(settings):
        exit_with_problems(problems)
    fate = ProcessFate()
    worker = Worker(create_server(settings), drain_seconds=settings.drain_seconds)
    registry = CollectorRegistry()
    job_counts = JobCounts(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    registry.register(job_counts)
    registry.register(
        WorkerGauges(lambda: Load(worker.jobs, settings.max_jobs, worker.is_registered), Path(settings.spool_dir))
    )
    tracing = start_tracing("agent", settings.otel_exporter_otlp_endpoint)
    stream = RedisBatchStream(settings.redis_url.reveal(), shards=settings.transcript_stream_shards)
    replay = Replay(
        SpoolFolder(Path(settings.spool_dir)),
        stream=stream,
        clock=SystemClock(),
        meter=ReplayMeter(registry),
        random=random.random,
        tracer=tracing.tracer,
    )
    events = RedisEventStream(settings.redis_url.reveal())
    retelling = Retelling(
        OutboxFolder(Path(settings.spool_dir)), stream=events, clock=SystemClock(), meter=RetellingMeter(registry)
    )
    works = {
        "worker": worker.run,
        "replay": replay.run,
        "retelling": retelling.run,
        "job_counts": job_counts.run,
    }

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with running(works, fate):
            yield
        await stream.aclose()
        await events.aclose()

    app = create_http(
        readiness={"livekit": worker.check_registered, "redis": stream.ping},
        registry=registry,
        lifespan=[lifespan],
        tracing=tracing,
    )
    return serve(app, host=settings.host, port=settings.port, fate=fate, drain=worker.drain)


def provider_problems(settings: AgentSettings) -> list[str]:
    """What is wrong with the providers that the settings name, a line each."""
    checks = [partial(check_recogniser, settings.stt), partial(check_responder, settings.llm)]
    if settings.llm != NO_RESPONDER:
        checks.append(partial(check_voice, settings.tts))
    problems = []
    for check in checks:
        try:
            check(settings.provider_access)
        except UnknownProviderError as error:
            problems.append(str(error))
    return problems


def create_server(settings: AgentSettings) -> AgentServer:
    """The framework's worker, dispatched explicitly by name, listening on loopback alone."""
    server = AgentServer(
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.reveal(),
        host="127.0.0.1",
        port=0,
        setup_fnc=prepare_process,
        load_fnc=partial(load_by_jobs, settings.max_jobs),
        load_threshold=1.0,
        num_idle_processes=settings.idle_processes,
        preload_modules=[f"{__name__}.before_fork"],
        session_end_timeout=SESSION_END_SECONDS,
        max_retry=NEVER_GIVE_UP,
        initialize_process_timeout=60.0,
        log_level="WARN",
    )
    server.rtc_session(
        start_session, agent_name=settings.agent_name, on_request=answer_request, on_session_end=end_session
    )
    return server


@functools.cache
def job_settings() -> AgentSettings:
    """The settings, read once: what the fork server has read its processes share (`before_fork`).

    Raises:
        SettingsError: They are wrong, which the worker has told before it started a process.
    """
    return load(AgentSettings, os.environ)


def prepare_process(process: JobProcess) -> None:
    """Make a job's process ready before there is a job: settings, logging, the recogniser's model, the voice."""
    settings = job_settings()
    configure_logging("agent", settings.log_level)
    keep_words_out_of_the_log()
    process.userdata["settings"] = settings
    process.userdata["recognisers"] = load_recogniser(settings.stt, settings.provider_access, clock=SystemClock())
    process.userdata["new_responder"] = load_responder(settings.llm, settings.provider_access)
    if process.userdata["new_responder"] is not None:
        process.userdata["new_voice"] = load_voice(settings.tts, settings.provider_access)


async def start_session(context: JobContext) -> None:
    """Join the room and start listening. Returns once that runs; the room's end ends it."""
    settings: AgentSettings = context.proc.userdata["settings"]
    recognisers: Recognisers = context.proc.userdata["recognisers"]
    metadata, verdict = read_metadata(context.job.room.metadata)
    recollection = Recollection(metadata)
    producer = Producer(id=uuid7(), meeting_id=context.job.room.name, room_sid=context.job.room.sid)
    structlog.contextvars.bind_contextvars(job_id=context.job.id, room_sid=producer.room_sid)
    if metadata is None:
        log.error("metadata_rejected", reason=verdict)
    clock, meter = SystemClock(), JobMeter()
    since_ms = clock.unix_ms()
    await context.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)

    tracing = start_tracing("agent", settings.otel_exporter_otlp_endpoint)
    ending = context.proc.userdata["ending"] = AsyncExitStack()
    ending.push_async_callback(asyncio.to_thread, tracing.close)
    stream = RedisBatchStream(settings.redis_url.reveal(), shards=settings.transcript_stream_shards)
    ending.push_async_callback(stream.aclose)
    changes = MetadataChanges(context.room, recollection)
    changes.start(context.job.room.metadata)
    ending.push_async_callback(changes.aclose)
    captions = RoomCaptions(context.room, meter=meter, tracer=tracing.tracer)
    ending.push_async_callback(captions.aclose)
    ending.push_async_callback(recognisers.aclose)
    session = MeetingSession(
        context.room,
        new_ear=lambda: recognisers.new_ear(lambda: recollection.agent.language, meter),
        open_microphone=ParticipantMicrophone,
    )
    session.start()
    ending.push_async_callback(session.finish)
    one_agent = OneAgent(
        RoomAgents(context.room),
        identity=context.room.local_participant.identity,
        since_ms=since_ms,
        leave=partial(context.shutdown, "another agent serves"),
    )
    ending.push_async_callback(one_agent.aclose)
    if not await one_agent.settle():
        return

    spool = SpoolFile(Path(settings.spool_dir), producer, max_bytes=settings.spool_max_bytes)
    buffer = TranscriptBuffer(producer, random=random.random)
    delivery = Delivery(producer, buffer, stream=stream, kept=spool, clock=clock, meter=meter, tracer=tracing.tracer)
    transcription = Transcription(
        producer,
        spool=spool,
        delivery=delivery,
        captions=captions,
        clock=clock,
        meter=meter,
        tracer=tracing.tracer,
    )
    session.transcribe(transcription)
    if settings.llm != NO_RESPONDER:
        try:
            tools = open_approvals(context, producer, settings, ending)
            ending.push_async_callback(
                await start_conversation(context, recollection, changes, transcription, meter=meter, tools=tools)
            )
        except Exception:  # people are transcribed whether or not there is a conversation
            log.exception("conversation_unavailable")
    log.info("session_started", producer_id=str(producer.id))


async def end_session(context: JobContext) -> None:
    """The room has ended, or the worker must: bring the last lines in, and close."""
    ending: AsyncExitStack | None = context.proc.userdata.pop("ending", None)
    if ending is not None:
        await ending.aclose()
