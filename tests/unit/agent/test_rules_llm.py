"""The rule-based responder among tools that go on while other things are asked."""

from __future__ import annotations

from livekit.agents import llm

from meetai_agent.adapters.rules_llm import RulesLLM
from meetai_agent.domain.briefing import Briefing, Question
from meetai_contracts.room import AgentData


def briefing() -> Briefing:
    return Briefing(
        meeting="Launch",
        agent=AgentData(name="Minutes", instructions=""),
        people=("Ada", "Ben"),
        remarks=(),
        question=Question("ada", "Ada", "Who is here?", "chat"),
        now_ms=1_700_000_000_000,
    )


async def said(model: RulesLLM, context: llm.ChatContext) -> str:
    return "".join([chunk.delta.content or "" async for chunk in model.chat(chat_ctx=context) if chunk.delta])


def called(context: llm.ChatContext, call_id: str, output: str) -> None:
    context.items.append(llm.FunctionCall(call_id=call_id, name="propose", arguments="{}"))
    context.items.append(llm.FunctionCallOutput(call_id=call_id, name="propose", output=output, is_error=False))


async def test_a_question_is_answered_when_an_earlier_tools_result_comes_in_between() -> None:
    """And the result is told all the same, once."""
    model, context = RulesLLM(briefing), llm.ChatContext.empty()
    context.add_message(role="user", content="Propose a meeting.")
    called(context, "call_1", "Ben has been asked.")
    assert await said(model, context) == "Ben has been asked."
    context.add_message(role="assistant", content="Ben has been asked.")
    context.add_message(role="user", content="Who is here?")
    called(context, "call_1_final", "Ben approved it.")
    assert await said(model, context) == "Ada and Ben are here."
    context.add_message(role="assistant", content="Ada and Ben are here.")
    assert await said(model, context) == "Ben approved it."
    assert await said(model, context) == ""
