"""A job's approvals, put together."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from pathlib import Path

from livekit.agents import JobContext
from uuid_utils.compat import uuid7

from meetai_agent.adapters.outbox_files import OutboxFiles
from meetai_agent.adapters.prometheus_meter import JobDecisionMeter
from meetai_agent.adapters.redis_events import RedisEventStream
from meetai_agent.adapters.room_participants import RoomParticipants
from meetai_agent.adapters.rpc_popups import RpcPopups
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.domain.batches import Producer
from meetai_agent.settings import AgentSettings
from meetai_agent.tools.ports import ToolPorts
from meetai_agent.usecases.approve import Approvals
from meetai_agent.usecases.asking import Surroundings
from meetai_agent.usecases.tell import Telling


def open_approvals(
    context: JobContext, producer: Producer, settings: AgentSettings, ending: AsyncExitStack
) -> ToolPorts:
    """Be ready to ask people. At the job's end what is open expires, and what can't be told by then is the worker's."""
    clock, meter, participants = SystemClock(), JobDecisionMeter(), RoomParticipants(context.room)
    events = RedisEventStream(settings.redis_url.reveal())
    telling = Telling(OutboxFiles(Path(settings.spool_dir)), stream=events, meter=meter, random=random.random)
    approvals = Approvals(
        Surroundings(
            meeting_id=producer.meeting_id,
            room_sid=producer.room_sid,
            participants=participants,
            popups=RpcPopups(context.room),
            telling=telling,
            clock=clock,
            meter=meter,
            popup_seconds=settings.approval_seconds,
            new_id=uuid7,
            random=random.random,
        )
    )
    telling.start()
    for closing in (events.aclose, telling.close, approvals.close):
        ending.push_async_callback(closing)
    return ToolPorts(approvals=approvals, participants=participants, clock=clock)
