"""A language model that says and calls what a test scripted, and shows what it was shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from livekit.agents import llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions


class Call:
    """One call of a tool."""

    def __init__(self, name: str, **arguments: Any) -> None:
        self.name = name
        self.arguments = arguments


class ScriptedLLM(llm.LLM[Any]):
    """Gives each answer of the script once: words, or calls made together. When there is none left it repeats the last item's text."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[str | list[Call]] = []
        self.seen: list[llm.ChatContext] = []

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        self.seen.append(chat_ctx)
        answer = self.script.pop(0) if self.script else "noted"
        return _Stream(self, lambda: answer, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    def outputs(self) -> list[str]:
        """What tools have returned, as far as the model was shown it."""
        last = self.seen[-1] if self.seen else llm.ChatContext.empty()
        return [item.output for item in last.items if isinstance(item, llm.FunctionCallOutput)]


class _Stream(llm.LLMStream):
    def __init__(self, model: ScriptedLLM, answer: Callable[[], str | list[Call]], **more: Any) -> None:
        super().__init__(model, **more)
        self._answer = answer

    async def _run(self) -> None:
        answer = self._answer()
        if isinstance(answer, str):
            delta = llm.ChoiceDelta(role="assistant", content=answer)
        else:
            calls = [
                llm.FunctionToolCall(name=call.name, arguments=json.dumps(call.arguments), call_id=f"call-{id(call)}")
                for call in answer
            ]
            delta = llm.ChoiceDelta(role="assistant", tool_calls=calls)
        self._event_ch.send_nowait(llm.ChatChunk(id=f"scripted-{id(self)}", delta=delta))
