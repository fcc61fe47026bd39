"""Asking people, over fakes: who sees what how often, what counts, and what is told of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.unit.agent.approval_bench import bench, popup
from tests.unit.agent.approval_fakes import ApprovalBench
from tests.waiting import settle, until

from meetai_agent.domain.errors import (
    ApproverUnreachableError,
    PopupUnansweredError,
    PopupUnsupportedError,
    ReplyUnusableError,
)
from meetai_agent.domain.proposal import MAX_CALLS, MAX_FAILURES, RETRY

pytestmark = pytest.mark.timeout(40)  # who waits for an answer that never comes fails soon
RETRY_SECONDS = RETRY.limit_seconds


__all__ = ["bench"]


@pytest.mark.parametrize(("decision", "outcome"), [("approved", "approved"), ("rejected", "rejected")])
async def test_an_answer_is_told_once_when_a_person_decides(bench: ApprovalBench, decision: str, outcome: str) -> None:
    """One popup to that person alone; one event with what was decided, by whom, and their remark."""
    waiting = bench.propose("ada", "10:pens")
    (await popup(bench)).answer(decision, comment="as always")
    end = await waiting
    assert (end.outcome, end.reason, end.modified, end.comment) == (outcome, "decided", False, "as always")
    await bench.close()
    [event] = [json.loads(each) for each in bench.events.appended]
    assert event["name"] == f"meetai/purchase.{outcome}"
    assert event["data"] == {"content": "10:pens", "by": "ada", "modified": False, "comment": "as always"}
    assert {identity: len(shown) for identity, shown in bench.popups.shown.items()} == {"ada": 1}
    assert bench.disk.kept == {}


async def test_one_popup_is_shown_when_the_same_is_proposed_again_meanwhile(bench: ApprovalBench) -> None:
    """Every caller gets the one result, and there is one event; the same to another person is another proposal."""
    first, second = bench.propose("ada", "10:pens"), bench.propose("ada", " 10:PENS ")
    other = bench.propose("bo", "10:pens")
    shown = await popup(bench)
    await popup(bench, "bo")
    third = bench.propose("ada", "10:pens")
    shown.answer("approved")
    ends = await asyncio.gather(first, second, third)
    assert all(end is ends[0] for end in ends)
    assert not other.done()
    assert {identity: len(shown) for identity, shown in bench.popups.shown.items()} == {"ada": 1, "bo": 1}
    await bench.close()
    assert [name for name, _ in bench.events.told] == ["meetai/purchase.approved", "meetai/purchase.expired"]
    assert len(set(bench.events.told)) == 2


async def test_a_popup_goes_on_when_one_who_waits_gives_up(bench: ApprovalBench) -> None:
    """The others still get the result, and it is told even if nobody waits."""
    first, second = bench.propose("ada", "10:pens"), bench.propose("ada", "10:pens")
    shown = await popup(bench)
    first.cancel()
    bench.approvals.let_go()
    with pytest.raises(asyncio.CancelledError):
        await second
    shown.answer("approved")
    await until(lambda: len(bench.events.appended) == 1)
    assert bench.events.told[0][0] == "meetai/purchase.approved"


async def test_two_people_decide_apart_when_two_proposals_are_open(bench: ApprovalBench) -> None:
    """Each sees their own; one no doesn't touch the other's yes."""
    pens, paper = bench.propose("ada", "10:pens"), bench.propose("bo", "5:paper")
    (await popup(bench, "bo")).answer("rejected", comment="too much")
    (await popup(bench, "ada")).answer("approved")
    assert ((await pens).outcome, (await paper).outcome) == ("approved", "rejected")


async def test_a_second_look_is_asked_for_when_what_matters_was_changed(bench: ApprovalBench) -> None:
    """Another popup with the change; only a yes to that counts. Other changes count as they are."""
    waiting = bench.propose("ada", "10:pens")
    first = await popup(bench)
    first.answer("modified", changed="20:pens")
    second = await popup(bench, number=2)
    assert second.request["content"] == "20:pens"
    assert second.id != first.id
    assert not waiting.done()
    second.answer("modified", changed="20:red pens", comment="red ones")
    end = await waiting
    assert (end.outcome, end.modified, end.popup.content, end.comment) == ("approved", True, "20:red pens", "red ones")
    await until(lambda: len(bench.events.appended) == 1)
    assert bench.events.told[0][1].endswith(second.id)


async def test_it_expires_when_it_is_changed_again_and_again(bench: ApprovalBench) -> None:
    """Three popups; after that nothing was agreed."""
    waiting = bench.propose("ada", "10:pens")
    for number in (1, 2, 3):
        (await popup(bench, number=number)).answer("modified", changed=f"{number}:pens")
    end = await waiting
    assert (end.outcome, end.reason) == ("expired", "undecided")
    assert len(bench.popups.shown["ada"]) == 3


async def test_it_expires_when_nobody_answers_in_time(bench: ApprovalBench) -> None:
    """A yes after that is not acted upon."""
    waiting = bench.propose("ada", "10:pens")
    shown = await popup(bench)
    bench.pass_seconds(119.9)
    await settle()
    assert not waiting.done()
    bench.clock.now += 0.1
    shown.answer("approved")
    end = await waiting
    assert (end.outcome, end.reason) == ("expired", "time_over")


async def test_the_popup_is_shown_again_when_the_person_reloads(bench: ApprovalBench) -> None:
    """Under the same id, for the time that is left; the answer may come to either, and counts once."""
    waiting = bench.propose("ada", "10:pens")
    first = await popup(bench)
    bench.clock.now += 30
    bench.participants.leave("ada")
    await settle()
    bench.pass_seconds(10)
    assert len(bench.popups.shown["ada"]) == 1
    bench.participants.join("ada")
    second = await popup(bench, number=2)
    assert (second.request, second.seconds) == (first.request, 80.0)
    first.answer("approved")
    assert (await waiting).outcome == "approved"
    await bench.close()
    assert len(bench.events.appended) == 1


async def test_it_expires_when_the_person_stays_away(bench: ApprovalBench) -> None:
    """After a grace, long before the popup's own time."""
    waiting = bench.propose("ada", "10:pens")
    await popup(bench)
    bench.participants.leave("ada")
    await settle()
    bench.pass_seconds(19.9)
    await settle()
    assert not waiting.done()
    bench.pass_seconds(0.1)
    assert (await waiting).reason == "approver_left"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda shown: shown.back.set_result("{rubbish"), "unusable"),
        (lambda shown: shown.back.set_result('{"proposalId":"another","decision":"approved"}'), "unusable"),
        (lambda shown: shown.back.set_result("[]"), "unusable"),
        (lambda shown: shown.fail(ReplyUnusableError("RPC 1500")), "unusable"),
        (lambda shown: shown.fail(PopupUnsupportedError("RPC 1400")), "unsupported"),
        (lambda shown: shown.fail(PopupUnansweredError("RPC 1502")), "unusable"),
    ],
)
async def test_it_is_asked_again_a_few_times_when_no_usable_answer_comes_back(
    bench: ApprovalBench, spoil: object, reason: str
) -> None:
    """Never at once, never for ever, and never taken for a yes."""
    assert callable(spoil)
    waiting = bench.propose("ada", "10:pens")
    for number in range(1, MAX_FAILURES + 1):
        spoil(await popup(bench, number=number))
        await settle()
        assert len(bench.popups.shown["ada"]) == number
        bench.pass_seconds(RETRY_SECONDS)
    end = await waiting
    assert (end.outcome, end.reason) == ("expired", reason)
    assert len({shown.id for shown in bench.popups.shown["ada"]}) == 1


async def test_an_answer_counts_when_rubbish_came_before_it(bench: ApprovalBench) -> None:
    """The second popup is the same popup."""
    waiting = bench.propose("ada", "10:pens")
    (await popup(bench)).back.set_result("")
    await settle()
    bench.pass_seconds(RETRY_SECONDS)
    (await popup(bench, number=2)).answer("approved")
    assert (await waiting).outcome == "approved"


async def test_calls_are_bounded_when_a_person_is_never_reached(bench: ApprovalBench) -> None:
    """Each costs the other side something."""
    waiting = bench.propose("ada", "10:pens")
    for number in range(1, MAX_CALLS + 1):
        (await popup(bench, number=number)).fail(ApproverUnreachableError("RPC 1501"))
        await settle()
        bench.pass_seconds(RETRY_SECONDS)
    end = await waiting
    assert (end.outcome, end.reason) == ("expired", "unreachable")
    assert len(bench.popups.shown["ada"]) == MAX_CALLS
