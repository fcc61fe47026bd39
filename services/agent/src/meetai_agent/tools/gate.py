"""The gate before every tool that acts: who is to approve, asking them while the conversation goes on, and words for the end.

Owns what the model is told. Knows no kind of proposal.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from livekit.agents import RunContext
from livekit.agents.llm import ToolError

from meetai_agent.domain.approver import Person, find_approver
from meetai_agent.domain.errors import ApproverUnclearError, ProposalRefusedError
from meetai_agent.domain.proposal import Decided, Reason
from meetai_agent.tools.ports import ToolPorts
from meetai_agent.usecases.asking import ApprovalKind

C = TypeVar("C", bound=msgspec.Struct)

WHY_EXPIRED: Final[dict[Reason, str]] = {
    "time_over": "did not answer in time",
    "approver_left": "left the meeting without an answer",
    "unreachable": "could not be reached",
    "unsupported": "uses an application that cannot show the request",
    "unusable": "uses an application that gave no usable answer",
    "undecided": "changed it again and again without confirming",
    "closed": "had not answered when the meeting ended",
}


async def ask_first(ctx: RunContext[Any], ports: ToolPorts, kind: ApprovalKind[C], approver: str, content: C) -> str:
    """Ask the person named, and wait for the end while the conversation goes on.

    Returns:
        What came of it, for the model. Whoever acts, acts on the event that was told, not on this.

    Raises:
        ToolError: nobody was asked, and what the agent may do about it.
    """
    try:
        person = find_approver(approver, ports.participants.people())
        waiting = ports.approvals.propose(kind, person.identity, content)
    except (ApproverUnclearError, ProposalRefusedError) as refused:
        raise ToolError(str(refused)) from None
    await ctx.update(
        f"{_called(person)} has been asked on their screen and has not answered yet.",
        template=lambda args: args["message"],
    )
    return _told(person, await waiting)


def _told(person: Person, end: Decided[C]) -> str:
    remark = f" They remarked: {end.comment}" if end.comment else ""
    if end.outcome == "approved":
        changed = f" They changed it to: {msgspec.json.encode(end.popup.content).decode()}" if end.modified else ""
        return f"{_called(person)} approved it; it is being carried out.{changed}{remark}"
    if end.outcome == "rejected":
        return f"{_called(person)} rejected it; nothing will be done.{remark}"
    return f"{_called(person)} {WHY_EXPIRED[end.reason]}; nothing will be done."


def _called(person: Person) -> str:
    return person.name or person.identity
