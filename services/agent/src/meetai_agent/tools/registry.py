"""The tools there are: the one place to add one (ADR 0035)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from livekit.agents.llm import FunctionTool

from meetai_agent.tools.ports import ToolPorts
from meetai_agent.tools.propose_calendar_event import propose_calendar_event

TOOLS: Final[tuple[Callable[[ToolPorts], FunctionTool[..., Any]], ...]] = (propose_calendar_event,)


def function_tools(ports: ToolPorts) -> list[FunctionTool[..., Any]]:
    """Every tool, for one job's conversation."""
    return [new_tool(ports) for new_tool in TOOLS]
