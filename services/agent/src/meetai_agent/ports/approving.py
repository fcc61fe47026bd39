"""What asking for approvals and telling of them needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from meetai_agent.domain.approver import Person


class Participants(Protocol):
    """The people in the room who can be asked for an approval."""

    def people(self) -> Sequence[Person]:
        """Those who are here now."""

    def stay_of(self, identity: str) -> int | None:
        """Which stay in the room is theirs now; None while they aren't here."""

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever somebody came or went. Returns what ends that."""


class Popups(Protocol):
    """The way to one person's screen."""

    async def show(self, identity: str, request: str, *, seconds: float) -> str:
        """Show it to this participant alone, and wait at most so many seconds for what comes back.

        Raises:
            ReplyUnusableError: their application answered with an error, or with too much.
            ApproverUnreachableError: it didn't reach them, or they left.
            PopupUnsupportedError: their application doesn't know it.
            PopupUnansweredError: nothing came back in time.
        """


class EventStream(Protocol):
    """The stream that carries domain events to webhook-bridge."""

    async def append(self, event: bytes) -> None:
        """Append one event; bounded in time.

        Raises:
            StreamUnavailableError: not confirmed; it may have landed.
        """


class Outbox(Protocol):
    """Events on local disk until the stream has them. Never raises: one that fails is one that is away."""

    def keep(self, key: UUID, event: bytes) -> bool:
        """Keep an event before anything else is done with it, in place of the one kept under this key.

        Returns:
            Whether it is kept: then it outlives this process, and the worker tells it.
        """

    def drop(self, key: UUID) -> None:
        """Forget what is kept under this key."""

    def release(self) -> None:
        """Leave all that is kept for the worker to tell."""


class DeadEvent(Protocol):
    """What a job that has ended left in its outbox; nobody else has it open."""

    @property
    def event(self) -> bytes:
        """As it was kept."""

    def drop(self) -> None:
        """The stream has it: forget it."""

    def release(self) -> None:
        """Leave it for another time."""

    def set_aside(self) -> None:
        """Keep it for a person to look at: it can't be told."""


class DeadEvents(Protocol):
    """The outboxes of jobs that have ended."""

    def claim(self) -> Sequence[DeadEvent]:
        """Open every event that no living job holds. Never raises; reads files, so call it in a thread."""


class DecisionMeter(Protocol):
    """Counts of proposals and of what came of them."""

    def proposal_ended(self, outcome: str) -> None:
        """A proposal was approved, rejected or has expired."""

    def event_told(self) -> None:
        """The stream confirmed an event."""

    def telling_failed(self) -> None:
        """The stream didn't confirm an event."""

    def outbox_failed(self) -> None:
        """The outbox couldn't take an event."""
