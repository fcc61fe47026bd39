"""Spoken to, or spoken of: as recognisers write it, with and without punctuation and capitals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_agent.domain.addressing import Address, address, names_in, opens_with_name

REQUESTS = [
    "Minutes, what time is it?",
    "minutes what time is it",
    "MINUTES! What time is it?",
    "Hey Minutes what time is it?",
    "Good morning Minutes, who is here?",
    "Um, so, Minutes, sum up please.",
    "What time is it, Minutes?",
    "What time is it minutes",
    "What do you think Minutes?",
    "So, Minutes, who is here?",
    "Could you, Minutes, repeat that?",
    "We are done. Minutes, sum up what was said.",
    "Minutes. What time is it?",
    "minutes, some of what was said",
    "Thank you, Minutes.",
    "thanks minutes",
    "Minutes are you there",
    "Minutes, please.",
    "Please, Minutes, stop.",
    "M\u00efnutes, what time is it?",
]
MENTIONS = [
    "",
    "...",
    "Did you read the minutes?",
    "Minutes are boring.",
    "Minutes will be sent.",
    "minutes and hours",
    "The minutes, as always, are late.",
    "It took five minutes.",
    "We count hours, minutes, and seconds.",
    "We count hours, minutes, seconds.",
    "Five minutes, please.",
    "I'll take the minutes.",
    "Give me five minutes, will you?",
    "In ten minutes, we are done.",
    "Ada, can you ask Minutes?",
    "Let's look at the minutes, shall we?",
    "The minutes of the last meeting were ready.",
]


@pytest.mark.parametrize("text", REQUESTS)
def test_the_agent_is_addressed_when_its_name_is_a_vocative(text: str) -> None:
    """At the start, at the end, or between commas."""
    assert address(text, "Minutes") is Address.REQUEST


@pytest.mark.parametrize("text", MENTIONS)
def test_the_agent_is_not_addressed_when_its_name_is_merely_mentioned(text: str) -> None:
    """Even where the name is a common word."""
    assert address(text, "Minutes") is Address.NONE


@pytest.mark.parametrize("text", ["Minutes?", "minutes", "Hey Minutes!", "Hello, Minutes.", "Good morning, Minutes."])
def test_it_is_a_call_when_nothing_but_the_name_is_said(text: str) -> None:
    """What is wanted may come next."""
    assert address(text, "Minutes") is Address.CALL


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Minute, what time is it?", "Minutes"),
        ("Skribe, who is here?", "Scribe"),
        ("Meet AI, who is here?", "MeetAI"),
        ("meet-ai who is here", "Meet AI"),
        ("Meeting Assistant, who is here?", "Meeting Assistant"),
        ("Zo\u00eb, qui est l\u00e0 ?", "Zoe"),
        ("Zoe\u0301, qui est l\u00e0 ?", "Zo\u00eb"),
        ("\u30a2\u30c0\u3055\u3093\u3001\u4eca\u4f55\u6642\u3067\u3059\u304b\uff1f", "\u30a2\u30c0"),
        ("R2-D2, who is here?", "R2D2"),
    ],
)
def test_the_agent_is_addressed_when_a_recogniser_spells_its_name_its_own_way(text: str, name: str) -> None:
    """One letter off, in parts, without its accents."""
    assert address(text, name) is Address.REQUEST


def test_a_name_one_letter_off_is_another_persons_when_somebody_here_has_it() -> None:
    """Marta is asked, not Maria."""
    assert address("Marta, who is here?", "Maria") is Address.REQUEST
    assert address("Marta, who is here?", "Maria", others=["Marta Jones"]) is Address.NONE
    assert address("Maria, who is here?", "Maria", others=["Maria Jones"]) is Address.REQUEST
    assert address("Alen, who is here?", "Alan") is Address.NONE, "short names are spelt right"


@given(text=st.text(max_size=200), name=st.text(max_size=40), other=st.text(max_size=20))
def test_anything_can_be_said_and_anybody_can_be_called_anything(text: str, name: str, other: str) -> None:
    """No text breaks it."""
    assert address(text, name, [other]) in Address
    opens_with_name(text, [name, other])
    assert names_in(text, {name, other}) <= {name, other}


def test_a_long_text_is_judged_in_little_time() -> None:
    """16 KiB is the longest line; this must not be quadratic in it."""
    assert address("minutes " * 2_000 + "are ready", "Minutes") is Address.NONE


def test_a_text_is_meant_for_somebody_else_when_it_opens_with_their_name() -> None:
    """As people write in a chat."""
    for text in ("@Ada can you?", "Ada, can you?", "ada: can you?"):
        assert opens_with_name(text, ["Ada", "Ben"])
    for text in ("Adage", "can you, Ada?", "Ada and I agree", ""):
        assert not opens_with_name(text, ["Ada", ""])


@pytest.mark.timeout(30)
@pytest.mark.parametrize("mark", ["'", "\u2019", "-", "a-", "'a"])
def test_a_line_of_nothing_but_marks_is_looked_at_once(mark: str) -> None:
    """Not from each of them anew, which shows in eight times what a line may have."""
    line = mark * (8 * 16_384 // len(mark))
    assert address(line, "Minutes") is Address.NONE
    assert names_in(line, {"Minutes"}) == set()


@pytest.mark.parametrize(
    ("text", "names"),
    [("Ask O'Brien.", {"O'Brien"}), ("'Ada' said so", {"Ada"}), ("Anne-Marie, please", {"Anne-Marie"})],
)
def test_names_keep_what_is_within_them(text: str, names: set[str]) -> None:
    assert names_in(text, names | {"Ben"}) == names
