"""The tool by which the agent proposes a calendar event. It asks, and that is all: the approved event is carried out elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from livekit.agents import RunContext
from livekit.agents.llm import FunctionTool, ToolError, function_tool
from pydantic import Field

from meetai_agent.tools.calendar_proposal import CalendarProposals, check_event, cleaned
from meetai_agent.tools.gate import ask_first
from meetai_agent.tools.ports import ToolPorts
from meetai_contracts.approval import CalendarEvent
from meetai_contracts.codec import name_field

NAME = "propose_calendar_event"


def propose_calendar_event(ports: ToolPorts) -> FunctionTool[..., Any]:
    """The tool for one job."""
    kind = CalendarProposals()

    @function_tool(name=NAME)
    async def propose(
        ctx: RunContext[Any],
        *,
        approver: Annotated[str, Field(description="Identity or display name of the one person who is to approve it.")],
        title: Annotated[str, Field(description="What the event is called.")],
        start: Annotated[str, Field(description="ISO 8601, like 2026-11-09T10:00; without an offset, in time_zone.")],
        end: Annotated[str, Field(description="ISO 8601, after start.")],
        time_zone: Annotated[str, Field(description="IANA name, like Europe/Berlin.")],
        attendees: Annotated[list[str] | None, Field(description="E-mail addresses or identities.")] = None,
        description: Annotated[str | None, Field(description="What it is about.")] = None,
        location: Annotated[str | None, Field(description="Where it is.")] = None,
    ) -> str:
        """Propose a calendar event to one participant, who sees it and approves, changes or rejects it.

        Use it only when somebody asked for a meeting or an appointment. Nothing is entered anywhere unless that person
        approves. If it is unclear who should approve, ask.
        """
        event = _read_event(
            now=datetime.fromtimestamp(ports.clock.unix_ms() / 1000, UTC),
            title=title,
            start=start,
            end=end,
            time_zone=time_zone,
            attendees=attendees or [],
            description=description or None,
            location=location or None,
        )
        return await ask_first(ctx, ports, kind, approver, event)

    return propose


def _read_event(*, now: datetime, start: str, end: str, time_zone: str, **texts: Any) -> CalendarEvent:
    """What a model gave, as an event.

    Raises:
        ToolError: naming the field, so that the model can do better.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ValueError, OSError, LookupError):
        raise ToolError("time_zone must be an IANA time zone like Europe/Berlin") from None
    fields = {"start": _read_time("start", start, zone), "end": _read_time("end", end, zone), "timeZone": time_zone}
    try:
        event = cleaned(msgspec.convert(fields | texts, CalendarEvent))
        check_event(event)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).rpartition(" - at `")
        field, reason = name_field(path.rstrip("`").removeprefix("$"), reason or str(error))
        raise ToolError(f"{field or 'the event'}: {reason}") from None
    except ValueError as error:
        raise ToolError(str(error)) from None
    if event.start <= now:
        raise ToolError(f"start is in the past: it is now {now.astimezone(zone).isoformat(timespec='minutes')}")
    return event


def _read_time(name: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ToolError(f"{name} must be ISO 8601, like 2026-11-09T10:00") from None
    return at if at.tzinfo else at.replace(tzinfo=zone)
