"""What the framework calls in a job's process, where it finds these functions by name.

The worker imports this to name them, and so none of what they do: the fork server has it for all jobs (`before_fork`).
"""

from __future__ import annotations

from livekit.agents import JobContext, JobProcess


def prepare_process(process: JobProcess) -> None:
    """As `job.prepare_process`."""
    from meetai_agent.app import job  # noqa: PLC0415 - the worker doesn't need it

    job.prepare_process(process)


async def start_session(context: JobContext) -> None:
    """As `job.start_session`."""
    from meetai_agent.app import job  # noqa: PLC0415 - the worker doesn't need it

    await job.start_session(context)


async def end_session(context: JobContext) -> None:
    """As `job.end_session`."""
    from meetai_agent.app import job  # noqa: PLC0415 - the worker doesn't need it

    await job.end_session(context)
