"""The rule-based responder behind the framework's interface of a language model, which it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from msgspec import json

from meetai_agent.domain.briefing import Briefing
from meetai_agent.domain.rules import answer_by_rules


class RulesLLM(llm.LLM[str]):
    """`livekit.agents.llm.LLM` by `domain.rules`: no network, no model, no key."""

    def __init__(self, briefing: Callable[[], Briefing]) -> None:
        super().__init__()
        self._briefing = briefing

    @property
    def model(self) -> str:
        """What answers."""
        return "rules"

    @property
    def provider(self) -> str:
        """Where it runs."""
        return "local"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,  # noqa: ARG002 - the framework's signature
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,  # noqa: ARG002 - the framework's signature
    ) -> llm.LLMStream:
        """Answer what the briefing asks, or say what a tool has returned."""
        allowed = [] if tool_choice == "none" else tools or []
        return _RulesStream(self, self._briefing, chat_ctx=chat_ctx, tools=allowed, conn_options=conn_options)


class _RulesStream(llm.LLMStream):
    def __init__(
        self,
        model: RulesLLM,
        briefing: Callable[[], Briefing],
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._briefing = briefing

    async def _run(self) -> None:
        last = self.chat_ctx.items[-1] if self.chat_ctx.items else None
        if isinstance(last, llm.FunctionCallOutput):
            delta = llm.ChoiceDelta(role="assistant", content=last.output)
        else:
            names = {tool.id for tool in self.tools}
            answer = answer_by_rules(self._briefing(), names)
            if isinstance(answer, str):
                delta = llm.ChoiceDelta(role="assistant", content=answer)
            else:
                call = llm.FunctionToolCall(
                    name=answer.name, arguments=json.encode(answer.arguments).decode(), call_id=f"call_{uuid4().hex}"
                )
                delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id=f"rules-{uuid4().hex}", delta=delta))
