"""Consecutive lines become turns, and turns a summary by rules: pure, whole, and never failing."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.post_meeting.talking import PRODUCER, START_MS, line, lines

from meetai_contracts.api import StoredLine
from meetai_contracts.summary import MAX_SUMMARY_BYTES, MeetingSummary
from meetai_post_meeting import extractive
from meetai_post_meeting.turns import MAX_PAUSE_MS, merge


def test_lines_become_one_turn_when_nobody_else_speaks_between() -> None:
    """With the first one's start and the last one's end; another speaker, or a long pause, ends it."""
    turns = merge(lines())
    assert [turn.speaker for turn in turns] == ["Ann", "Ben", "Ann", "Clara", "Ben"]
    assert turns[0].text == "Good morning. Let's talk about the new website launch."
    assert (turns[0].started_ms, turns[0].ended_ms) == (START_MS, START_MS + 3_000)
    apart = merge([line(1, "Ann", 0, "One."), line(2, "Ann", 1 + MAX_PAUSE_MS / 1000 + 0.001, "Two.")])
    assert [turn.text for turn in apart] == ["One.", "Two."]


def test_speaker_without_a_name_is_called_by_their_identity() -> None:
    """LiveKit requires no name."""
    nameless = msgspec.structs.replace(
        line(1, "Ann", 0, "Hi."), speaker=msgspec.structs.replace(line(1, "Ann", 0, "").speaker, name=" ")
    )
    assert merge([nameless])[0].speaker == "ann"


def test_summary_is_written_when_a_speaker_has_neither_name_nor_identity() -> None:
    """A participant's identity may be blank as well; what they promise, and who is asked, is still said."""
    said = merge([line(1, " ", 0, "I will call the printers."), line(2, "\t", 5, "Ben, can you send the plan?")])
    assert [turn.speaker for turn in said] == ["Unknown speaker", "Unknown speaker"]
    summary = extractive.summarise(said, (PRODUCER,))
    assert [(item.owner, item.text) for item in summary.action_items] == [
        ("Unknown speaker", "I will call the printers."),
        (None, "Ben, can you send the plan?"),
    ]


def test_summary_says_who_decided_what_and_who_is_to_do_it() -> None:
    """Of people's own words; what an agent promised is nobody's action item."""
    summary = extractive.summarise(merge(lines()), (PRODUCER,))
    assert summary.overview.startswith("Ann, Ben talked for 7 minutes.")
    assert summary.decisions == ("We agreed to launch the website on Friday.",)
    assert [(item.owner, item.text) for item in summary.action_items] == [
        ("Ben", "I will call the printers tomorrow."),
        ("Ben", "Ben, can you send the launch plan to everybody?"),
    ]
    assert [(note.started_ms - START_MS, note.ended_ms - START_MS) for note in summary.notes] == [
        (0, 21_000),
        (400_000, 401_000),
    ]
    assert (summary.written_by, summary.producer_ids) == ("extractive", (PRODUCER,))


def test_decision_is_known_by_what_it_says() -> None:
    """As people say it; a wish, a question and a report are none."""
    said = {
        "That sounds good, so we will open the new website next Monday.": True,
        "We've agreed on blue.": True,
        "Let's go with the second one.": True,
        "Today we want to decide when it should go live.": False,
        "What have they decided?": False,
        "We opened it on Monday.": False,
    }
    summary = extractive.summarise(merge([line(n, f"P{n}", n * 5, text) for n, text in enumerate(said, 1)]), ())
    assert summary.decisions == tuple(text for text, is_decision in said.items() if is_decision)


def test_summary_says_so_when_nobody_spoke() -> None:
    """An agent alone is nobody."""
    for said in ([], [line(1, "Clara", 0, "Hello?")]):
        assert extractive.summarise(merge(said), ()).overview == "Nobody said a word that was recognised."


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
LINES = st.lists(st.tuples(st.sampled_from(["Ann", "Ben", "\u202eEve", " "]), st.floats(0, 9e6), TEXTS), max_size=30)


@given(LINES)
def test_summary_is_acceptable_and_the_same_again_whatever_was_said(said: list[tuple[str, float, str]]) -> None:
    """Its reader takes it, it fits, and it says the same the second time: a repeated step changes nothing."""
    turns = merge([line(seq, name, at, text) for seq, (name, at, text) in enumerate(said, 1)])
    summary = extractive.summarise(turns, (PRODUCER,))
    encoded = msgspec.json.encode(summary)
    assert msgspec.json.decode(encoded, type=MeetingSummary) == summary
    assert extractive.summarise(turns, (PRODUCER,)) == summary


def test_summary_fits_when_the_meeting_is_as_long_and_as_wide_as_can_be() -> None:
    """Twenty hours of four-byte characters, every sentence a decision and a promise."""
    said: list[StoredLine] = [
        line(n, "Ann" if n % 2 else "Ben", n * 30, f"We agreed {n}: I will do it {'😀' * 900}.")
        for n in range(1, 2_400)
    ]
    assert len(msgspec.json.encode(extractive.summarise(merge(said), (PRODUCER,)))) <= MAX_SUMMARY_BYTES
