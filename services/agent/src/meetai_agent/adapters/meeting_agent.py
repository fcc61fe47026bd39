"""What the session's agent does in each step of an answer: what a model is sent, when its voice begins, what is written.

Owns the two nodes that livekit-agents lets an agent define, for the model and for the voice. Must not decide what is answered.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, Final

from livekit import rtc
from livekit.agents import Agent, ModelSettings, llm, tts
from livekit.agents.voice.io import TextOutput

from meetai_agent.domain.briefing import Briefing, instructions_for, remarks_for
from meetai_agent.domain.errors import AnswerFailedError
from meetai_agent.ports import Chat

MAX_HISTORY_ITEMS: Final = 24
"""Questions, answers and tool calls that a model is shown beside what was said lately."""


class MeetingAgent(Agent):
    """What is sent to a model, and when the voice begins."""

    def __init__(
        self,
        voice: tts.TTS[Any],
        tools: Sequence[llm.FunctionTool[..., Any]],
        *,
        on_exit: Callable[[], None],
        chat: Chat,
        briefing: Callable[[], Briefing],
        floor: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(instructions="", tools=list(tools), tts=voice)
        self.failed: BaseException | None = None
        self._on_exit = on_exit
        self._chat = chat
        self._briefing = briefing
        self._floor = floor

    async def on_exit(self) -> None:
        """The session ends."""
        self._on_exit()

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[llm.ChatChunk | str | Any, None]:
        """Answer with what is known at this moment; what is answered to the chat is written there too."""
        briefing = self._briefing()
        context = llm.ChatContext.empty()
        context.add_message(role="system", content=instructions_for(briefing))
        context.add_message(role="user", content=remarks_for(briefing))
        recent = chat_ctx.copy(exclude_instructions=True).truncate(max_items=MAX_HISTORY_ITEMS)
        context.items.extend(recent.items)
        written: list[str] = []
        answered = False
        try:
            async for chunk in Agent.default.llm_node(self, context, tools, model_settings):
                if isinstance(chunk, llm.ChatChunk) and chunk.delta:
                    answered = answered or bool(chunk.delta.content or chunk.delta.tool_calls)
                    written.append(chunk.delta.content or "")
                yield chunk
            if not answered:
                raise AnswerFailedError("the language model said nothing")
        finally:
            text = "".join(written).strip()
            if text and (briefing.question is None or briefing.question.by == "chat"):
                self._chat.write(text)

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Prepare the voice at once, and let it be heard when nobody speaks."""
        first = True
        try:
            async for frame in Agent.default.tts_node(self, text, model_settings):
                if first:
                    first = False
                    await self._floor()
                yield frame
        except Exception as error:
            self.failed = error
            raise

    def forget_old(self, history: llm.ChatContext) -> None:
        """Keep the last messages alone, here and in the session's own history."""
        self._chat_ctx.truncate(max_items=MAX_HISTORY_ITEMS)
        history.truncate(max_items=MAX_HISTORY_ITEMS)


class Words(TextOutput):
    """Where the synchroniser puts each word as it is played."""

    def __init__(self, said: Callable[[str], None]) -> None:
        super().__init__(label="meetai", next_in_chain=None)
        self._said = said

    async def capture_text(self, text: str) -> None:
        """Take a word."""
        self._said(text)

    def flush(self) -> None:
        """A segment is over; the item that follows says so too."""
