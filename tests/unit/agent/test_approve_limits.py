"""Approvals that can't be asked for, and what of those that are open when their job ends, dies or breaks."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.unit.agent.approval_bench import bench, popup
from tests.unit.agent.approval_fakes import ApprovalBench
from tests.waiting import until

from meetai_agent.domain.errors import (
    ProposalRefusedError,
)
from meetai_agent.domain.proposal import RETRY, Popup, Reply
from meetai_agent.usecases.approve import MAX_OPEN, MAX_OPEN_EACH
from meetai_agent.usecases.tell import MAX_UNTOLD

pytestmark = pytest.mark.timeout(40)  # who waits for an answer that never comes fails soon
RETRY_SECONDS = RETRY.limit_seconds


__all__ = ["bench"]


async def test_nobody_is_asked_when_too_many_proposals_are_open(bench: ApprovalBench) -> None:
    """So many each, so many in a room; a decided one makes room."""
    for number in range(MAX_OPEN_EACH):
        bench.propose("ada", f"{number}:pens")
    with pytest.raises(ProposalRefusedError, match="that person's answer"):
        bench.propose("ada", "99:pens")
    bench.propose("ada", "1:pens")
    for number in range(MAX_OPEN - MAX_OPEN_EACH):
        bench.propose("bo" if number < MAX_OPEN_EACH else "cleo", f"{number}:pens")
    with pytest.raises(ProposalRefusedError, match="nobody was asked"):
        bench.propose("cleo", "99:pens")
    (await popup(bench)).answer("rejected")
    await until(lambda: len(bench.approvals._open) < MAX_OPEN)
    bench.propose("cleo", "99:pens")


async def test_nobody_is_asked_when_it_is_too_large_or_the_meeting_is_over(bench: ApprovalBench) -> None:
    """And nothing is told of it."""
    with pytest.raises(ProposalRefusedError, match="too long"):
        bench.propose("ada", "1:" + "x" * 200)
    await bench.approvals.close()
    with pytest.raises(ProposalRefusedError, match="over"):
        bench.propose("ada", "10:pens")
    assert (bench.popups.shown, bench.disk.kept) == ({}, {})


async def test_nobody_is_asked_when_decisions_cannot_be_told(bench: ApprovalBench) -> None:
    """An answer must find room."""
    bench.events.failing = True
    for number in range(MAX_UNTOLD):
        waiting = bench.propose("ada", f"{number}:pens")
        (await popup(bench, number=number + 1)).answer("approved")
        await waiting
    with pytest.raises(ProposalRefusedError, match="recorded"):
        bench.propose("ada", "99:pens")
    bench.events.failing = False
    await until(lambda: not bench.telling.full)
    bench.propose("ada", "99:pens")


async def test_what_is_open_expires_when_the_meeting_ends(bench: ApprovalBench) -> None:
    """Told like any other end, within the close."""
    waiting = bench.propose("ada", "10:pens")
    await popup(bench)
    await bench.close()
    assert (await waiting).reason == "closed"
    assert [name for name, _ in bench.events.told] == ["meetai/purchase.expired"]


async def test_a_yes_is_on_disk_before_anything_else_happens(
    bench: ApprovalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a turn of the loop between the answer and the disk: a process can be killed at any await."""
    names: list[str] = []
    read = bench.kind.reply

    def note_what_is_kept() -> None:
        names.extend(json.loads(kept)["name"] for kept, _ in bench.disk.kept.values())

    def reply(payload: str, popup: Popup[str]) -> Reply[str]:
        note_what_is_kept()
        asyncio.get_running_loop().call_soon(note_what_is_kept)
        return read(payload, popup)

    monkeypatch.setattr(bench.kind, "reply", reply)
    waiting = bench.propose("ada", "10:pens")
    (await popup(bench)).answer("approved")
    await waiting
    assert names == ["meetai/purchase.expired", "meetai/purchase.approved"]


async def test_it_is_told_that_it_expired_when_the_job_is_killed_with_the_popup_open(bench: ApprovalBench) -> None:
    """What lies on disk then says so, at the popup's time; also of a second look, under its own id."""
    bench.propose("ada", "10:pens")
    (await popup(bench)).answer("modified", changed="20:pens")
    second = await popup(bench, number=2)
    [(kept, _)] = bench.disk.kept.values()
    event = json.loads(kept)
    assert (event["name"], event["data"]["content"], event["data"]["modified"]) == (
        "meetai/purchase.expired",
        "20:pens",
        True,
    )
    assert event["id"].endswith(second.id)
    assert event["occurredAt"][:19] == second.request["expiresAt"][:19]


async def test_it_ends_as_expired_when_something_in_it_breaks(
    bench: ApprovalBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits isn't left waiting."""
    waiting = bench.propose("ada", "10:pens")

    def broken(_identity: str) -> int | None:
        raise RuntimeError("broken")

    monkeypatch.setattr(bench.participants, "stay_of", broken)
    bench.participants.wake()
    assert (await waiting).outcome == "expired"
