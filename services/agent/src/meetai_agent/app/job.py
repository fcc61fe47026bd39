"""A job's composition root: in each meeting's process, settings to a running session.

What its functions share in a process is in `JobProcess.userdata`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog
from livekit.agents import AutoSubscribe, JobContext, JobProcess
from uuid_utils.compat import uuid7

from meetai_agent.adapters.framework_log import keep_words_out_of_the_log
from meetai_agent.adapters.livekit_agents import RoomAgents
from meetai_agent.adapters.livekit_captions import RoomCaptions
from meetai_agent.adapters.microphone import ParticipantMicrophone
from meetai_agent.adapters.prometheus_meter import JobMeter
from meetai_agent.adapters.providers.recognisers import Recognisers, load_recogniser
from meetai_agent.adapters.providers.responders import OFF as NO_RESPONDER
from meetai_agent.adapters.providers.responders import load_responder
from meetai_agent.adapters.providers.voices import load_voice
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.app.approvals import open_approvals
from meetai_agent.domain.batches import Producer
from meetai_agent.domain.briefing import Recollection
from meetai_agent.domain.buffer import TranscriptBuffer
from meetai_agent.domain.metadata import read_metadata
from meetai_agent.metadata import MetadataChanges
from meetai_agent.session import MeetingSession
from meetai_agent.settings import AgentSettings
from meetai_agent.usecases.deliver import Delivery
from meetai_agent.usecases.one_agent import OneAgent
from meetai_agent.usecases.transcribe import Transcription
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.settings import load
from meetai_servicekit.tracing import start_tracing

log = structlog.get_logger()


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
            from meetai_agent.app.talking import start_conversation  # noqa: PLC0415 - 4 MB, of no use to who only hears

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
