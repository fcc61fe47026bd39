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


class ApproverUnclearError(AgentError):
    """Nobody fits the approver's name, or several people do: the agent has to ask who is meant. The message says it."""


class ProposalRefusedError(AgentError):
    """A proposal that nobody is asked about, and why, in words for the agent to go on with."""


class ReplyUnusableError(AgentError):
    """What came back from a popup is not an answer to it: ask again, and never take it for a yes."""


class ApproverUnreachableError(AgentError):
    """The popup didn't reach the person, or they left: ask again when they are there."""


class PopupUnsupportedError(AgentError):
    """The person's application doesn't know this popup: it may still be loading, so ask again a few times."""


class PopupUnansweredError(AgentError):
    """The person let the popup's time run out."""
