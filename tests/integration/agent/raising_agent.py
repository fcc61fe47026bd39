"""The worker with faults in its jobs: none can talk, and the entrypoint of one meeting raises. Run as `python -m`.

A job's process imports this module again (multiprocessing's preparation of `__main__`), so the faults are in there as well.
"""

from __future__ import annotations

from typing import Any

from meetai_agent.app import job, talking, worker
from meetai_agent.session import MeetingSession
from meetai_agent.usecases.transcribe import Transcription

FAULTY = "faulty"
"""Name of the meeting whose entrypoint raises."""


class FaultySession(MeetingSession):
    """Begins to transcribe, and raises."""

    def transcribe(self, transcription: Transcription) -> None:
        super().transcribe(transcription)
        if self._room.name == FAULTY:
            raise RuntimeError("a fault in the entrypoint")


async def _raise(*_arguments: Any) -> Any:
    raise RuntimeError("a fault in the conversation")


if __name__ in {"__main__", "__mp_main__"}:
    vars(talking).update(start_conversation=_raise)
    vars(job).update(MeetingSession=FaultySession)

if __name__ == "__main__":
    raise SystemExit(worker.main())
