"""One proposal to one person, until it ends: does what `domain.proposal` says, and tells the end.

A readable answer is on disk before anything else happens: between its arrival and the outbox nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

import structlog
from msgspec import Struct

from meetai_agent.domain.errors import (
    AgentError,
    ApproverUnreachableError,
    PopupUnansweredError,
    PopupUnsupportedError,
    ReplyUnusableError,
)
from meetai_agent.domain.proposal import Ask, Decided, Failure, Popup, Proposal, Reply, Wait
from meetai_agent.ports import Clock
from meetai_agent.ports.approving import DecisionMeter, Participants, Popups
from meetai_agent.usecases.tell import Telling
from meetai_contracts.events import DomainEvent

C = TypeVar("C")

FAILURES: Final[dict[type[AgentError], Failure]] = {
    ReplyUnusableError: "unusable",
    PopupUnsupportedError: "unsupported",
    ApproverUnreachableError: "unreachable",
    PopupUnansweredError: "unanswered",
}

log = structlog.get_logger()


class Asked(Struct, frozen=True):
    """Who was asked, in which meeting, and when it ended."""

    meeting_id: str
    room_sid: str
    identity: str
    at: datetime


class ApprovalKind(Protocol[C]):
    """All that is particular to one kind of proposal. Pure; what reads contents raises nothing that it doesn't name."""

    @property
    def name(self) -> str:
        """Its name on the wire."""

    def canonical(self, content: C) -> bytes:
        """The same for contents that a person would call the same."""

    def request(self, popup: Popup[C], expires_at: datetime) -> str:
        """What is sent to show it.

        Raises:
            ProposalRefusedError: it is more than an RPC can carry.
        """

    def reply(self, payload: str, popup: Popup[C]) -> Reply[C]:
        """What came back from this popup.

        Raises:
            ReplyUnusableError: it isn't an answer to this popup, or changes the content into something that can't be.
        """

    def second_look(self, before: C, after: C) -> bool:
        """Whether a person who changed the first into the second has to see it again before it counts."""

    def event(self, end: Decided[C], asked: Asked) -> DomainEvent:
        """What to tell of the end."""


class Surroundings(Struct, frozen=True):
    """What every proposal of a job works with.

    Attributes:
        room_sid: As the job's transcript has it.
        popup_seconds: How long a person has for one popup.
        new_id: Gives popups their ids, UUIDv7.
        random: Gives [0, 1), for jitter.
    """

    meeting_id: str
    room_sid: str
    participants: Participants
    popups: Popups
    telling: Telling
    clock: Clock
    meter: DecisionMeter
    popup_seconds: float
    new_id: Callable[[], UUID]
    random: Callable[[], float]


class Asking(Generic[C]):
    """One proposal.

    Raises:
        ProposalRefusedError: it is too large to be shown.

    Attributes:
        id: Names the proposal here, in the log and in the outbox: the id of its first popup.
        ended: Gives the end.
    """

    def __init__(self, kind: ApprovalKind[C], identity: str, content: C, surroundings: Surroundings) -> None:
        self._kind = kind
        self._identity = identity
        self._with = surroundings
        self._proposal = Proposal(
            content,
            now=surroundings.clock.monotonic(),
            popup_seconds=surroundings.popup_seconds,
            second_look=kind.second_look,
            new_id=surroundings.new_id,
            random=surroundings.random,
        )
        self.id = self._proposal.popup.id
        self.ended: asyncio.Future[Decided[C]] = asyncio.get_running_loop().create_future()
        self._shown: UUID | None = None
        self._request = kind.request(self._proposal.popup, self._expires_at())
        self._calls: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Ask until there is an end. Cancelled, it ends nothing: the worker will tell that it expired."""
        unsubscribe = self._with.participants.subscribe(self._woken.set)
        try:
            while not self._settle():
                now = self._with.clock.monotonic()
                self._proposal.stays(self._with.participants.stay_of(self._identity), now)
                match self._proposal.next(now):
                    case Ask() as ask:
                        self._start(ask)
                    case Wait(seconds):
                        await self._wait(seconds)
        except Exception:
            log.exception("proposal_failed", proposal_id=str(self.id))
            self.close()
        finally:
            unsubscribe()
            for call in list(self._calls):
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    def close(self) -> None:
        """The meeting is over: it ends here and now, as expired if it hasn't ended yet."""
        self._proposal.close()
        self._settle()
        self._woken.set()

    def _start(self, ask: Ask[C]) -> None:
        if self._shown != ask.popup.id:
            self._shown = ask.popup.id
            expires_at = self._expires_at()
            self._request = self._kind.request(ask.popup, expires_at)
            unless_decided = Decided("expired", "time_over", ask.popup, modified=self._proposal.modified)
            self._with.telling.promise(self.id, self._kind.event(unless_decided, self._asked(expires_at)))
        task = asyncio.create_task(self._show(ask), name=f"popup-{ask.popup.id}-{ask.call}")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _show(self, ask: Ask[C]) -> None:
        ids = {"proposal_id": str(self.id), "popup_id": str(ask.popup.id), "call": ask.call}
        log.info("popup_sent", identity=self._identity, **ids)
        try:
            payload = await self._with.popups.show(self._identity, self._request, seconds=ask.seconds)
            reply = self._kind.reply(payload, ask.popup)
        except tuple(FAILURES) as error:
            failure = FAILURES[type(error)]
            log.info("popup_failed", failure=failure, **ids)
            self._proposal.failed(ask.call, failure, self._with.clock.monotonic())
        except Exception:
            log.exception("popup_broke", **ids)
            self._proposal.failed(ask.call, "unusable", self._with.clock.monotonic())
        else:
            counts = self._proposal.replied(ask.call, reply, self._with.clock.monotonic())
            self._settle()
            log.info("popup_answered", decision=reply.decision, counts=counts, **ids)
        self._woken.set()

    def _settle(self) -> bool:
        """If there is an end, make it known, to the disk first. Returns whether there is."""
        end = self._proposal.end
        if end is None:
            return False
        if not self.ended.done():
            self._with.telling.tell(self.id, self._kind.event(end, self._asked(self._now())))
            self._with.meter.proposal_ended(end.outcome)
            self.ended.set_result(end)
            log.info(
                "proposal_ended",
                proposal_id=str(self.id),
                kind=self._kind.name,
                outcome=end.outcome,
                reason=end.reason,
                modified=end.modified,
            )
        return True

    def _asked(self, at: datetime) -> Asked:
        return Asked(self._with.meeting_id, self._with.room_sid, self._identity, at)

    def _expires_at(self) -> datetime:
        """When the popup expires, on the wall clock. It is shown to people; what counts is the clock that never goes back."""
        left_seconds = self._proposal.expires_at - self._with.clock.monotonic()
        return datetime.fromtimestamp(self._with.clock.unix_ms() / 1000 + left_seconds, UTC)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._with.clock.unix_ms() / 1000, UTC)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
