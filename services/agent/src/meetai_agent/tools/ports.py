"""What a tool may use."""

from __future__ import annotations

from msgspec import Struct

from meetai_agent.ports import Clock
from meetai_agent.ports.approving import Participants
from meetai_agent.usecases.approve import Approvals


class ToolPorts(Struct, frozen=True):
    """What every tool of a job is made with. There is nothing here by which one could act without an approval."""

    approvals: Approvals
    participants: Participants
    clock: Clock
