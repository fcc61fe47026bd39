"""The worker: registered with LiveKit, it accepts a job for each meeting and runs it in a process of its own.

Drives the framework's `AgentServer`. Owns registration, refusal and draining; must not know what a job does.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from livekit.agents import AgentServer, JobRequest

from meetai_agent.domain.metadata import read_metadata
from meetai_contracts.identifiers import check_id
from meetai_contracts.room import METADATA_ATTRIBUTE
from meetai_servicekit.health import NotReadyError

DEFAULT_AGENT_NAME: Final = "Assistant"
CLOSE_SECONDS: Final = 90.0
"""After the drain: time for jobs still running to finish their recognisers, flush and close."""

log = structlog.get_logger()


class Worker:
    """One `AgentServer` for as long as the process lives."""

    def __init__(self, server: AgentServer, *, drain_seconds: int) -> None:
        self._server = server
        self._drain_seconds = drain_seconds

    async def run(self) -> None:
        """Serve jobs until cancelled. Closing after a drain doesn't end it: the process goes on to answer for its health."""
        await self._server.run()
        if self._server.draining:
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Take no new jobs, let the running ones go on for the drain time, then end them in good order."""
        log.info("worker_draining", jobs=len(self._server.active_jobs))
        try:
            # The framework takes 0 for no limit at all.
            await self._server.drain(timeout=max(1, self._drain_seconds))
        except TimeoutError:
            log.warning("worker_drain_timed_out", jobs=len(self._server.active_jobs))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._server.aclose()
        except TimeoutError:
            log.error("worker_close_timed_out")  # noqa: TRY400 - no stack needed

    @property
    def jobs(self) -> int:
        """Meetings that it serves now."""
        return len(self._server.active_jobs)

    @property
    def is_registered(self) -> bool:
        """LiveKit knows this worker and may send it jobs."""
        connected = self._server.id != "unregistered" and not self._server._connecting  # noqa: SLF001 - the framework has no public way to ask
        return connected and not self._server.draining

    async def check_registered(self) -> None:
        """Readiness: LiveKit knows this worker and may send it jobs.

        Raises:
            NotReadyError: not registered, or draining.
        """
        if self._server.draining:
            raise NotReadyError("draining: no new jobs are taken")
        if not self.is_registered:
            raise NotReadyError("not registered with LiveKit")


def load_by_jobs(max_jobs: int, server: AgentServer) -> float:
    """A worker's load as its share of `max_jobs`; the framework refuses jobs from 1.0 on."""
    return len(server.active_jobs) / max_jobs


async def answer_request(request: JobRequest) -> None:
    """Take the job under the agent's name in this meeting; refuse a room whose name can't be a meeting id."""
    try:
        check_id(request.room.name, "room name")
    except ValueError as error:
        log.error("job_refused", job_id=request.id, reason=str(error))  # noqa: TRY400 - the reason says it all
        await request.reject()
        return
    metadata, verdict = read_metadata(request.room.metadata)
    agent = metadata.agent_data if metadata else None
    await request.accept(name=agent.name if agent else DEFAULT_AGENT_NAME, attributes={METADATA_ATTRIBUTE: verdict})
