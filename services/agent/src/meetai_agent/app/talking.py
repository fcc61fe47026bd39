"""A job's conversation, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from livekit.agents import JobContext

from meetai_agent.adapters.agent_session import SessionTalker
from meetai_agent.adapters.livekit_chat import RoomChat
from meetai_agent.adapters.prometheus_meter import JobMeter
from meetai_agent.adapters.providers.responders import NewResponder
from meetai_agent.adapters.providers.voices import NewVoice
from meetai_agent.adapters.system_clock import SystemClock
from meetai_agent.conversation import RoomConversation
from meetai_agent.domain.briefing import Briefing, Recollection
from meetai_agent.metadata import MetadataChanges
from meetai_agent.session import HUMANS
from meetai_agent.tools.ports import ToolPorts
from meetai_agent.tools.registry import function_tools
from meetai_agent.usecases.converse import Conversation
from meetai_agent.usecases.floor import Floor
from meetai_agent.usecases.transcribe import Transcription
from meetai_contracts.transcript import Speaker


async def start_conversation(
    context: JobContext,
    recollection: Recollection,
    changes: MetadataChanges,
    transcription: Transcription,
    *,
    meter: JobMeter,
    tools: ToolPorts,
) -> Callable[[], Awaitable[None]]:
    """Begin to answer. Returns what ends it."""
    new_responder: NewResponder = context.proc.userdata["new_responder"]
    new_voice: NewVoice = context.proc.userdata["new_voice"]
    room, clock = context.room, SystemClock()
    floor = Floor()

    def people() -> dict[str, str]:
        return {
            identity: participant.name or identity
            for identity, participant in room.remote_participants.items()
            if participant.kind in HUMANS
        }

    def briefing() -> Briefing:
        return recollection.briefing(tuple(people().values()), now_ms=clock.unix_ms())

    def myself() -> Speaker:
        return Speaker(identity=room.local_participant.identity, name=recollection.agent.name, kind="agent")

    chat = RoomChat(room)
    talker = SessionTalker(
        room,
        responder=new_responder(briefing),
        voice=new_voice(recollection.agent),
        tools=function_tools(tools),
        on_exit=tools.approvals.let_go,
        chat=chat,
        briefing=briefing,
        floor=floor.free,
        on_words=lambda words: transcription.say_interim(myself(), words),
        on_spoken=lambda spoken: transcription.say(myself(), spoken),
        clock=clock,
    )
    conversation = Conversation(recollection, talker, chat, floor, people=people, meter=meter)
    driver = RoomConversation(
        room,
        conversation,
        talker,
        chat,
        humans=HUMANS,
    )
    changes.then(lambda: talker.change_voice(new_voice(recollection.agent)))
    transcription.follow(conversation)
    await driver.start()
    return driver.finish
