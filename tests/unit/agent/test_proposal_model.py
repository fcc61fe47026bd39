"""A proposal against a model: people who come and go, answer, answer again, answer with rubbish, or don't; a virtual clock."""

from __future__ import annotations

import itertools
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meetai_agent.domain.proposal import (
    MAX_CALLS,
    MAX_POPUPS,
    Ask,
    Decided,
    Failure,
    Proposal,
    Reply,
    Wait,
)

POPUP_SECONDS = 120.0
ROUNDING = 1e-6
FAILURES: list[Failure] = ["unusable", "unsupported", "unreachable", "unanswered"]


def needs_second_look(before: str, after: str) -> bool:
    """In this model the time is what stands before the colon."""
    return before.split(":", maxsplit=1)[0] != after.split(":", maxsplit=1)[0]


class ProposalMachine(RuleBasedStateMachine):
    """Drives a proposal as `Asking` does, and knows what must not come of it."""

    proposal: Proposal[str]

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.ids = itertools.count(1)
        self.proposal = Proposal(
            "10:standup",
            now=0.0,
            popup_seconds=POPUP_SECONDS,
            second_look=needs_second_look,
            new_id=lambda: UUID(int=next(self.ids)),
            random=lambda: 0.5,
        )
        self.stays = itertools.count(1)
        self.stay: int | None = None
        self.away_since = 0.0
        self.asked_in: dict[tuple[UUID, int], int] = {}
        self.asks: list[Ask[str]] = []
        self.open: list[Ask[str]] = []
        self.expires: dict[UUID, float] = {}
        self.counted: list[tuple[Ask[str], Reply[str]]] = []
        self.end: Decided[str] | None = None

    @rule()
    def come(self) -> None:
        """Also while they are here: a reload is a new stay, and the old one's end may never be seen."""
        self.stay = next(self.stays)
        self.proposal.stays(self.stay, self.now)

    @rule()
    def leave(self) -> None:
        if self.stay is not None:
            self.stay, self.away_since = None, self.now
        self.proposal.stays(None, self.now)

    @rule(seconds=st.sampled_from([0.125, 1.0, 5.0, 19.875, 20.0, 60.0, 119.0, 121.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def step(self) -> None:
        self.take_steps(3)

    @rule(
        which=st.integers(0, 50),
        decision=st.sampled_from(["approved", "rejected", "same_time", "other_time"]),
        comment=st.sampled_from([None, "fine"]),
        again=st.booleans(),
    )
    @precondition(lambda self: self.asks)
    def answer(self, which: int, decision: str, comment: str | None, again: bool) -> None:
        """Any call that was ever made, so that late answers, second ones and those to earlier popups are among them."""
        ask = self.asks[-1 - which % len(self.asks)]
        hour, name = ask.popup.content.split(":")
        reply: Reply[str] = {
            "approved": Reply("approved", None, comment),
            "rejected": Reply("rejected", None, comment),
            "same_time": Reply("modified", f"{hour}:{name}!", comment),
            "other_time": Reply("modified", f"{int(hour) + 1}:{name}", comment),
        }[decision]
        for _ in range(1 + again):
            current = ask.popup.id == self.proposal.popup.id
            late = self.now >= self.expires[ask.popup.id]
            ended = self.proposal.end is not None
            counts = self.proposal.replied(ask.call, reply, self.now) if current else False
            assert counts == (current and not late and not ended and ask in self.open)
            if counts:
                self.counted.append((ask, reply))
                self.open.clear()
                self.take_steps(1)

    @rule(which=st.integers(0, 50), failure=st.sampled_from(FAILURES))
    @precondition(lambda self: self.open)
    def fail(self, which: int, failure: Failure) -> None:
        ask = self.open.pop(which % len(self.open))
        self.proposal.failed(ask.call, failure, self.now)

    @rule()
    @precondition(lambda self: self.proposal.end is None and len(self.asks) > 3)
    def close(self) -> None:
        self.proposal.close()

    def take_steps(self, count: int) -> None:
        for _ in range(count):
            action = self.proposal.next(self.now)
            match action:
                case Ask():
                    self.check_ask(action)
                case Wait(seconds):
                    assert 0 < seconds <= POPUP_SECONDS + ROUNDING
                    return
                case Decided():
                    assert self.end in {None, action}, "an end is an end"
                    self.end = action
                    return

    def check_ask(self, ask: Ask[str]) -> None:
        assert self.stay is not None, "nobody is there to see it"
        assert 0 < ask.seconds <= POPUP_SECONDS + ROUNDING
        expires = self.now + ask.seconds
        if ask.popup.id in self.expires:
            assert abs(self.expires[ask.popup.id] - expires) < ROUNDING, "the same popup ends at the same time"
            [content] = {each.popup.content for each in self.asks if each.popup.id == ask.popup.id}
            assert content == ask.popup.content, "other content is another popup"
        else:
            self.open.clear()
        self.expires[ask.popup.id] = expires
        self.asks.append(ask)
        self.open.append(ask)
        assert sum(each.popup.id == ask.popup.id for each in self.asks) <= MAX_CALLS
        assert len(self.expires) <= MAX_POPUPS

    @invariant()
    def approved_only_by_a_yes(self) -> None:
        if self.end is None or self.end.outcome != "approved":
            return
        ask, reply = self.counted[-1]
        assert reply.decision in {"approved", "modified"}
        assert ask.popup.id == self.end.popup.id
        if reply.decision == "approved":
            assert self.end.popup.content == ask.popup.content, "what was approved is what was shown"
        else:
            assert self.end.popup.content == reply.changed
            assert not needs_second_look(ask.popup.content, self.end.popup.content)
        assert self.end.comment == reply.comment
        assert self.end.modified == any(each.decision == "modified" for _, each in self.counted)

    @invariant()
    def rejected_only_by_a_no(self) -> None:
        if self.end is not None and self.end.outcome == "rejected":
            assert self.counted[-1][1].decision == "rejected"

    def teardown(self) -> None:
        """Whatever happened, it ends by itself, soon after nobody answers any more, and never with a yes out of nothing."""
        if not hasattr(self, "proposal"):
            return
        counted, silent_since = len(self.counted), self.now
        for _ in range(MAX_CALLS * 3):
            if self.end is not None:
                break
            self.take_steps(1)
            match self.proposal.next(self.now):
                case Wait(seconds):
                    self.now += seconds
                case Ask() as ask:
                    self.check_ask(ask)
                case Decided() as end:
                    self.end = end
        assert self.end is not None
        assert self.now - silent_since <= POPUP_SECONDS + ROUNDING
        if counted == 0:
            assert self.end.outcome == "expired"
        assert self.proposal.next(self.now + 1e6) == self.end


TestProposal = ProposalMachine.TestCase
TestProposal.settings = settings(max_examples=200, stateful_step_count=40, suppress_health_check=list(HealthCheck))
