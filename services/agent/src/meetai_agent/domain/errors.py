"""What can go wrong, and what the caller does about it."""

from __future__ import annotations


class AgentError(Exception):
    """Base of the agent's own errors."""


class StreamUnavailableError(AgentError):
    """The stream didn't confirm an entry: retry the same bytes. They may have landed all the same."""


class UnusableRoomError(AgentError):
    """The room's name can't be a meeting id: reject the job, its lines could not be stored."""


class AnswerFailedError(AgentError):
    """A question got no answer: its provider failed, or took too long. Tell whoever asked; the next may go well."""


class UnknownProviderError(AgentError):
    """A setting names a speech provider that this build doesn't have: fail at start-up."""


class RecogniserFailedError(AgentError):
    """A recogniser broke off: ask it again later, or another one now."""
