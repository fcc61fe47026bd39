"""Settings in, a served application out."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import fastapi
import httpx
import inngest
import inngest.fast_api
import uvicorn

from meetai_post_meeting.engine import TIMEOUT_SECONDS, Engine
from meetai_post_meeting.functions import APP_ID, functions
from meetai_post_meeting.model import ModelSummariser
from meetai_post_meeting.settings import PostMeetingSettings
from meetai_post_meeting.writing import HasListener, WriteSummary
from meetai_servicekit.logging import configure_logging
from meetai_servicekit.settings import load_or_exit

SERVICE: Final = "post-meeting"


def create_app(settings: PostMeetingSettings) -> fastapi.FastAPI:
    """Inngest's endpoint at `/api/inngest`, and `/livez`."""
    engine_http = httpx.AsyncClient(
        base_url=settings.transcript_ingest_url,
        headers={"Authorization": f"Bearer {settings.service_key.reveal()}"},
        timeout=TIMEOUT_SECONDS,
    )
    key = settings.openai_api_key
    model_http = httpx.AsyncClient(
        base_url=settings.openai_base_url,
        headers={"Authorization": f"Bearer {key.reveal()}"} if key else {},
        timeout=settings.model_timeout_seconds,
    )

    @asynccontextmanager
    async def lifespan(_app: fastapi.FastAPI) -> AsyncGenerator[None]:
        async with engine_http, model_http:
            yield

    app = fastapi.FastAPI(title="MeetAI post-meeting example", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    engine = Engine(engine_http)
    model = (
        ModelSummariser(model_http, model=settings.summary_model, timeout_seconds=settings.model_timeout_seconds)
        if settings.summary_model
        else None
    )
    signing_key = settings.inngest_signing_key
    client = inngest.Inngest(
        app_id=APP_ID,
        is_production=not settings.inngest_dev,
        signing_key=signing_key.reveal() if signing_key else None,
        logger=logging.getLogger("inngest"),
    )
    inngest.fast_api.serve(
        app,
        client,
        functions(
            client, WriteSummary(engine, model), HasListener(engine), late_seconds=settings.late_transcript_seconds
        ),
    )
    return app


def main(environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM."""
    settings = load_or_exit(PostMeetingSettings, environ)
    configure_logging(SERVICE, settings.log_level)
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_config=None, access_log=False)
    return 0
