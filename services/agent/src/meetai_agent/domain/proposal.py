"""One proposal, from the first popup to its end: when to ask, when to ask again, what counts as an answer.

Pure: the caller brings the time, the approver's coming and going and what each popup gave, and does what `next` says. It
knows no calendar and no RPC. The rule everything else serves: `approved` comes only from a person's readable yes to the very
content that is then acted upon, given in time; rubbish, silence, absence and lateness are never a yes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import Struct

from meetai_contracts.approval import Decision
from meetai_servicekit.backoff import Backoff

GRACE_SECONDS: Final = 20.0
"""Somebody who left may come back within this. A reload takes a few seconds, an SFU's restart 3 s; a killed client
itself is noticed only after about 22 s (FACTS, RPC)."""
MAX_POPUPS: Final = 3
"""The first, and at most two more because the person changed what they would have to see again."""
MAX_FAILURES: Final = 4
"""Unusable answers, or an application that doesn't know the popup, in one stay."""
MAX_CALLS: Final = 12
"""Calls for one popup, whatever ends them."""
RETRY: Final = Backoff(first_seconds=1.0, limit_seconds=8.0)

C = TypeVar("C")

Failure = Literal["unusable", "unsupported", "unreachable", "unanswered"]
Outcome = Literal["approved", "rejected", "expired"]
Reason = Literal[
    "decided", "time_over", "approver_left", "unreachable", "unsupported", "unusable", "undecided", "closed"
]
"""Why it ended: a person decided, or what kept them from it (`undecided`: they changed it again and again)."""


class Reply(Struct, Generic[C], frozen=True):
    """A readable answer; `changed` is there with `modified`, and only then."""

    decision: Decision
    changed: C | None = None
    comment: str | None = None


class Popup(Struct, Generic[C], frozen=True):
    """What a person sees. The content under an id never changes: other content is another popup with an id of its own."""

    id: UUID
    content: C


class Ask(Struct, Generic[C], frozen=True):
    """Show this popup to the approver for so many seconds, then call `replied` or `failed` with `call`."""

    call: int
    popup: Popup[C]
    seconds: float


class Wait(Struct, frozen=True):
    """Nothing is due for so many seconds, unless something happens."""

    seconds: float


class Decided(Struct, Generic[C], frozen=True):
    """The end.

    Attributes:
        popup: What the person decided about, or was last asked.
        modified: The person changed what was proposed.
    """

    outcome: Outcome
    reason: Reason
    popup: Popup[C]
    modified: bool = False
    comment: str | None = None


Action = Ask[C] | Wait | Decided[C]


class Proposal(Generic[C]):
    """One proposal to one person.

    Args:
        content: What is proposed.
        now: Seconds of a clock that never goes back, as everywhere here.
        popup_seconds: How long a person has for one popup.
        second_look: Whether a person who changed the first into the second has to see it again before it counts.
        new_id: Gives a popup its id.
        random: Gives [0, 1), for jitter.
    """

    def __init__(
        self,
        content: C,
        *,
        now: float,
        popup_seconds: float,
        second_look: Callable[[C, C], bool],
        new_id: Callable[[], UUID],
        random: Callable[[], float],
    ) -> None:
        self._popup_seconds = popup_seconds
        self._second_look = second_look
        self._new_id = new_id
        self._random = random
        self._popups = 0
        self._popup: Popup[C]
        self._expires_at: float
        self._not_before: float
        self._asking: int | None
        self._answerable: set[int]
        self._calls: int
        self._failures: int
        self._modified = False
        self._stay: int | None = None
        self._away_since = now
        self._end: Decided[C] | None = None
        self._show(content, now)

    @property
    def popup(self) -> Popup[C]:
        """What the person is asked now, or was last."""
        return self._popup

    @property
    def modified(self) -> bool:
        """Whether the person has changed what was proposed."""
        return self._modified

    @property
    def expires_at(self) -> float:
        """Until when the popup can be answered."""
        return self._expires_at

    @property
    def end(self) -> Decided[C] | None:
        """The end, once there is one."""
        return self._end

    def next(self, now: float) -> Action[C]:
        """What to do now. Each `Ask` is given once."""
        if self._end is None and now >= self._expires_at:
            self._expire("time_over")
        if self._end is None and self._stay is None and now >= self._away_since + GRACE_SECONDS:
            self._expire("approver_left")
        if self._end is not None:
            return self._end
        if self._stay is None:
            return Wait(min(self._away_since + GRACE_SECONDS, self._expires_at) - now)
        if self._asking is not None or self._calls >= MAX_CALLS:
            return Wait(self._expires_at - now)
        if now < self._not_before:
            return Wait(min(self._not_before, self._expires_at) - now)
        self._calls += 1
        self._asking = self._calls
        self._answerable.add(self._calls)
        return Ask(self._calls, self._popup, self._expires_at - now)

    def stays(self, stay: int | None, now: float) -> None:
        """Say which stay in the room is the approver's now, None while they are away.

        In a new stay the popup is shown again, under the same id. What was asked in an earlier one may still be answered.
        """
        if stay == self._stay:
            return
        self._stay = stay
        self._asking = None
        if stay is None:
            self._away_since = now
        else:
            self._failures = 0
            self._not_before = now

    def replied(self, call: int, reply: Reply[C], now: float) -> bool:
        """Take an answer. Returns whether it counts: not one that is late, a second one, or one to an earlier popup."""
        if self._end is not None or now >= self._expires_at or call not in self._answerable:
            return False
        match reply.decision:
            case "approved":
                self._decide("approved", reply.comment)
            case "rejected":
                self._decide("rejected", reply.comment)
            case "modified":
                assert reply.changed is not None  # noqa: S101 - the contract says so
                self._change(reply.changed, reply.comment, now)
        return True

    def failed(self, call: int, failure: Failure, now: float) -> None:
        """A call ended without an answer."""
        if self._end is not None or call not in self._answerable:
            return
        self._answerable.discard(call)
        if call != self._asking:
            return
        if failure == "unanswered" and now >= self._expires_at - 1.0:  # two clocks: the call's ran out first
            return
        self._asking = None
        self._failures += failure != "unreachable"
        self._not_before = now + RETRY.wait_seconds(max(1, self._failures), self._random)
        if self._failures >= MAX_FAILURES or self._calls >= MAX_CALLS:
            self._expire("unusable" if failure == "unanswered" else failure)

    def close(self) -> None:
        """The meeting is over: nobody can answer any more."""
        if self._end is None:
            self._expire("closed")

    def _change(self, changed: C, comment: str | None, now: float) -> None:
        again = self._second_look(self._popup.content, changed)
        self._modified = True
        if not again:
            self._popup = Popup(self._popup.id, changed)
            self._decide("approved", comment)
        elif self._popups < MAX_POPUPS:
            self._show(changed, now)
        else:
            self._expire("undecided")

    def _show(self, content: C, now: float) -> None:
        self._popups += 1
        self._popup = Popup(self._new_id(), content)
        self._expires_at = now + self._popup_seconds
        self._asking = None
        self._answerable = set()
        self._calls = 0
        self._failures = 0
        self._not_before = now

    def _decide(self, outcome: Outcome, comment: str | None) -> None:
        self._end = Decided(outcome, "decided", self._popup, self._modified, comment)

    def _expire(self, reason: Reason) -> None:
        self._end = Decided("expired", reason, self._popup, self._modified)
