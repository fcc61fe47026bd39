"""The service's errors. Each subclass says what the caller does next, whichever driver raised the original."""

from __future__ import annotations

from meetai_servicekit.patience import TryLaterError as TryLater


class IngestError(Exception):
    """Base of this service's own errors. A message holds ids, counts and error codes, never what was said."""


class TryLaterError(IngestError, TryLater):
    """Retry: Redis or PostgreSQL can't answer now. Nothing is lost; hold what is in hand and try again."""


class RefusedError(IngestError):
    """Reject: the store will never take this data, however often it is offered. Narrow it down and dead-letter it."""


class UnstorableError(IngestError):
    """Fail: not even a dead letter can be written. A person has to look; the entries stay pending meanwhile."""


class LetterGoneError(IngestError):
    """Reject: there is no such dead letter, or not any more."""


class ErasedError(IngestError):
    """Reject: the meeting was erased on request, and nothing has been said in it since."""


class OtherProducersError(IngestError):
    """Reject: made of lines that the meeting doesn't have, or not any more; or of none, where it has some. The message says which."""


class ChangedError(IngestError):
    """Reject: it isn't any more, or never was, what the caller means to replace."""


class BadCursorError(IngestError):
    """Reject: a cursor that this service didn't give out."""


class BadQueryError(IngestError):
    """Reject: nothing that can be searched for. The message says why, without the query."""


class TooSlowError(TryLaterError):
    """Retry with less: it takes longer than it may."""


class AheadOfTranscriptError(IngestError):
    """Reject: a position that this meeting has not come to; the store was set back, or the id is another meeting's."""


class TooManyFollowersError(IngestError):
    """Retry elsewhere or later: this process has as many followers as it may, or is about to end."""
