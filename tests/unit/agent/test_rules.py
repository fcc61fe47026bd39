"""What the responder without a language model answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_agent.domain.briefing import Briefing, Question, Remark
from meetai_agent.domain.calendar_request import PROPOSE_TOOL, ToolRequest
from meetai_agent.domain.rules import answer_by_rules
from meetai_contracts.room import AgentData

NOON = datetime(2026, 11, 23, 12, 5, tzinfo=UTC)  # a Monday
SAID = (
    Remark("Ada", "human", "The website is ready.", 1),
    Remark("Ben", "human", "Ship it on Friday", 2),
    Remark("Minutes", "agent", "Noted.", 3),
)


def asked(text: str, *, tools: tuple[str, ...] = (), remarks: tuple[Remark, ...] = SAID) -> str | ToolRequest:
    briefing = Briefing(
        meeting="Launch",
        agent=AgentData(name="Minutes", instructions=""),
        people=("Ada", "Ben", "Cleo"),
        remarks=remarks,
        question=Question("ada", "Ada", text, "voice"),
        now_ms=int(NOON.timestamp() * 1000),
    )
    return answer_by_rules(briefing, tools)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Minutes, what time is it?", "It is 12:05 Coordinated Universal Time."),
        ("minutes what's the date", "It is Monday, 23 November 2026."),
        ("Minutes, who's here?", "Ada, Ben and Cleo are here."),
        ("Minutes, what did Ben say?", "Ben said: Ship it on Friday."),
        ("Minutes, can you say that again?", "Minutes said: Noted."),
        ("Minutes, repeat the last thing.", "Minutes said: Noted."),
        ("Thank you, Minutes.", "You're welcome, Ada."),
        ("Hello, Minutes.", "Hello, Ada."),
    ],
)
def test_a_rule_answers_when_there_is_one(text: str, answer: str) -> None:
    """The time, the people, what was said, good manners."""
    assert asked(text) == answer


def test_the_last_remarks_are_repeated_when_asked_to_sum_up() -> None:
    """And no more is claimed than that."""
    question = Remark("Ada", "human", "Minutes, sum up.", 4)
    assert asked("Minutes, sum up.", remarks=(*SAID, question)) == (
        "I can only repeat what was said last. Ada said: The website is ready. Ben said: Ship it on Friday. "
        "Minutes said: Noted."
    )
    assert asked("Minutes, sum up.", remarks=(question,)) == "Nothing has been said yet."


@pytest.mark.parametrize("text", ["Who are you, Minutes?", "Minutes, what do you make of Goethe?"])
def test_it_says_that_it_is_no_language_model_when_asked_who_it_is_or_what_it_cannot_do(text: str) -> None:
    """Nobody should take it for one."""
    answer = asked(text)
    assert isinstance(answer, str)
    assert "by fixed rules, not by a language model" in answer


PLANNING = {"approver": "ada", "title": "Planning", "time_zone": "UTC"}


@pytest.mark.parametrize(
    ("text", "start", "end", "attendees"),
    [
        ("Minutes, propose a meeting called planning tomorrow at ten with Robert.", "24T10:00", "24T10:30", ["Robert"]),
        (
            "minutes, propose a meeting called planning tomorrow at 10 with Ben and Cleo",
            "24T10:00",
            "24T10:30",
            ["Ben", "Cleo"],
        ),
        ("Schedule a call about planning on Wednesday at half past three for an hour.", "25T03:30", "25T04:30", []),
        ("Plan a meeting with Ben at 3 p.m. called planning", "23T15:00", "23T15:30", ["Ben"]),
        ("propose a meeting at 11:15 called planning", "24T11:15", "24T11:45", []),
        ("Book a meeting called planning on Monday at nine for 45 minutes", "30T09:00", "30T09:45", []),
        ("propose a meeting called planning today at noon", "23T12:00", "23T12:30", []),
    ],
)
def test_a_meeting_is_proposed_when_somebody_asks_for_one(
    text: str, start: str, end: str, attendees: list[str]
) -> None:
    """With whoever asks as the approver; without a day, the next such time."""
    assert asked(text, tools=(PROPOSE_TOOL,)) == ToolRequest(
        PROPOSE_TOOL,
        {
            **PLANNING,
            "start": f"2026-11-{start}:00+00:00",
            "end": f"2026-11-{end}:00+00:00",
            "attendees": attendees,
        },
    )


@pytest.mark.parametrize(
    ("text", "approver"),
    [
        ("propose a meeting called planning tomorrow at ten with Robert, and ask Ben to approve it.", "Ben"),
        (
            "Minutes, schedule a call about planning tomorrow at ten with Robert and have Ben Smith approve it",
            "Ben Smith",
        ),
        ("propose a meeting called planning tomorrow at ten with Robert, approved by Cleo.", "Cleo"),
        ("please let Ben confirm, and plan a meeting called planning tomorrow at ten with Robert", "Ben"),
    ],
)
def test_somebody_else_approves_when_they_are_named(text: str, approver: str) -> None:
    """And is not taken for one who attends."""
    request = asked(text, tools=(PROPOSE_TOOL,))
    assert isinstance(request, ToolRequest)
    assert (request.arguments["approver"], request.arguments["title"]) == (approver, "Planning")
    assert (request.arguments["attendees"], request.arguments["start"]) == (["Robert"], "2026-11-24T10:00:00+00:00")


def test_a_time_is_asked_for_when_a_proposal_has_none() -> None:
    """Rather than one that nobody wanted."""
    answer = asked("Minutes, propose a meeting called planning with Ben.", tools=(PROPOSE_TOOL,))
    assert isinstance(answer, str)
    assert answer.startswith("At what time?")
    late = asked("Minutes, propose a meeting at 25.", tools=(PROPOSE_TOOL,))
    assert isinstance(late, str)


def test_no_tool_is_called_when_there_is_none() -> None:
    """Then it can't, and says so."""
    assert "have none for that" in str(asked("Minutes, propose a meeting called planning tomorrow at ten."))


@given(text=st.text(max_size=300))
def test_there_is_an_answer_whatever_is_asked(text: str) -> None:
    """No text breaks the rules."""
    assert asked(text, tools=(PROPOSE_TOOL,))


@given(
    words=st.lists(
        st.sampled_from(
            ["propose", "a meeting", "at", "25", "99", "with", "called", "for", "0 minutes", "an hour", "monday"]
        ),
        max_size=12,
    )
)
def test_there_is_an_answer_whatever_is_proposed(words: list[str]) -> None:
    """Nor do their own words in any order; an end is after its start."""
    answer = asked(" ".join(["propose a meeting at ten", *words]), tools=(PROPOSE_TOOL,))
    if isinstance(answer, ToolRequest):
        assert answer.arguments["end"] > answer.arguments["start"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "propose a meeting at 10 with" + " " * 3_700 + "x" * 250,
        "propose a meeting at 10 called" + " " * 3_700 + "x" * 250,
        "propose a meeting at 10" + " " * 3_900 + "x",
        "propose a meeting at 10 " + "with " * 790,
        "propose a meeting at 10 " + "ask ben " * 480,
        "propose a meeting at 10" + ", and" * 790,
        "repeat " + "'" * 3_990,
        "repeat " + "a-" * 1_990,
        "what did " * 440,
    ],
)
def test_an_answer_comes_soon_when_somebody_writes_to_be_a_nuisance(text: str) -> None:
    """Rules run where everybody is heard: what takes them minutes would take the meeting with it."""
    assert asked(text, tools=(PROPOSE_TOOL,))


def test_a_meeting_is_proposed_when_the_request_is_spread_over_lines() -> None:
    """As chat may be."""
    proposed = asked("Propose a meeting\n  tomorrow at ten\n called  launch  review", tools=(PROPOSE_TOOL,))
    assert isinstance(proposed, ToolRequest)
    assert proposed.arguments["title"] == "Launch review"
