"""The rule-based responder behind the framework's interface of a language model, which it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from msgspec import json

from meetai_agent.domain.briefing import Briefing
from meetai_agent.domain.rules import answer_by_rules

LATER: Final = "_final"
"""How the framework ends the id of a result that comes after a tool's first update (livekit-agents 1.8)."""


class RulesLLM(llm.LLM[str]):
    """`livekit.agents.llm.LLM` by `domain.rules`: no network, no model, no key."""

    def __init__(self, briefing: Callable[[], Briefing]) -> None:
        super().__init__()
        self._briefing = briefing
        self._told: set[str] = set()

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

    def news(self, chat_ctx: llm.ChatContext) -> list[str]:
        """What tools have returned and wasn't told yet. Results of a tool that went on come in between other questions."""
        outputs = {item.call_id: item.output for item in chat_ctx.items if isinstance(item, llm.FunctionCallOutput)}
        new = [output for call_id, output in outputs.items() if call_id not in self._told]
        self._told = set(outputs)
        return new


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
        self._model = model
        self._briefing = briefing

    async def _run(self) -> None:
        if _is_answered(self.chat_ctx):
            delta = llm.ChoiceDelta(role="assistant", content=" ".join(self._model.news(self.chat_ctx)))
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


def _is_answered(chat_ctx: llm.ChatContext) -> bool:
    """Whether nothing was asked since the last answer or call of a tool; results that came meanwhile answer something else."""
    for item in reversed(chat_ctx.items):
        if isinstance(item, llm.ChatMessage):
            return item.role != "user" and any(isinstance(each, llm.FunctionCallOutput) for each in chat_ctx.items)
        if isinstance(item, llm.FunctionCall) and not item.call_id.endswith(LATER):
            return True
    return False
