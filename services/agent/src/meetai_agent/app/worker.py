"""The worker's composition root: settings to a running worker.

It never runs a job, so what only jobs need isn't imported here: `in_the_job` names it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from litestar import Litestar
from livekit.agents import AgentServer
from prometheus_client import CollectorRegistry

from meetai_agent.adapters.dead_spools import SpoolFolder
from meetai_agent.adapters.job_counts import JobCounts
from meetai_agent.adapters.outbox_files import OutboxFolder
from meetai_agent.adapters.prometheus_meter import ReplayMeter, RetellingMeter
from meetai_agent.adapters.providers.recognisers import check_recogniser
from meetai_agent.adapters.providers.responders import OFF as NO_RESPONDER
from meetai_agent.adapters.providers.responders import check_responder
from meetai_agent.adapters.providers.voices import check_voice
from meetai_agent.adapters.redis_events import RedisEventStream
from meetai_agent.adapters.redis_stream import RedisBatchStream
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.adapters.worker_gauges import Load, WorkerGauges
from meetai_agent.app import in_the_job
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.http import create_http
from meetai_agent.settings import AgentSettings
from meetai_agent.usecases.replay import Replay
from meetai_agent.usecases.retell import Retelling
from meetai_agent.worker import Worker, answer_request, load_by_jobs
from meetai_servicekit.background import ProcessFate, running
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.server import serve
from meetai_servicekit.settings import exit_with_problems, load_or_exit
from meetai_servicekit.tracing import start_tracing

NEVER_GIVE_UP: Final = 1_000_000
"""Attempts to reach LiveKit, at most 10 s apart; readiness tells meanwhile that there is no registration."""
SESSION_END_SECONDS: Final = 85.0
"""Above the session's own bounds: 5 s to tell decisions, 40 s for the last words and 30 s for the last flush. Below the worker's
90 s to close."""
LAST_LOOK_SECONDS: Final = 5.0
"""After that, for spools and decisions of jobs that were killed while they closed: the disk may go with the pod. Grace periods have 10 s to spare."""


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

    async def drain() -> None:
        await worker.drain()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                await replay.sweep()
                await retelling.sweep()

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
    return serve(app, host=settings.host, port=settings.port, fate=fate, drain=drain)


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
        setup_fnc=in_the_job.prepare_process,
        load_fnc=partial(load_by_jobs, settings.max_jobs),
        load_threshold=1.0,
        num_idle_processes=settings.idle_processes,
        preload_modules=["meetai_agent.app.no_terminal", in_the_job.__name__, "meetai_agent.app.before_fork"],
        session_end_timeout=SESSION_END_SECONDS,
        max_retry=NEVER_GIVE_UP,
        initialize_process_timeout=60.0,
        log_level="WARN",
    )
    server.rtc_session(
        in_the_job.start_session,
        agent_name=settings.agent_name,
        on_request=answer_request,
        on_session_end=in_the_job.end_session,
    )
    return server
