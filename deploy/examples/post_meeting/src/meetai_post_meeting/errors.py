"""What can go wrong, by what is to be done next. Messages hold ids, counts and status codes, never what was said."""

from __future__ import annotations


class PostMeetingError(Exception):
    """Base of this example's own errors."""


class EngineAwayError(PostMeetingError):
    """Retry: transcript-ingest can't answer now."""


class EngineRefusedError(PostMeetingError):
    """Fail: transcript-ingest refuses, and will do so again."""


class MeetingGoneError(PostMeetingError):
    """End: the meeting was erased, or what its summary was made of is not kept any more."""


class ModelError(PostMeetingError):
    """Do without: the model is away, or its answer is no summary."""
