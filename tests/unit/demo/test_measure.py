"""Word error rates, the comparison of live and stored, attribution, percentiles."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.demo import meetings

from meetai_contracts.transcript import CaptionSpeaker
from meetai_local.demo import measure
from meetai_local.demo.captions import HeardCaption


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ("Good morning, everyone!", 0.0),
        ("good-morning everyone", 0.0),
        ("Good evening everyone", 1 / 3),
        ("Good morning", 1 / 3),
        ("Good morning to everyone", 1 / 3),
        ("", 1.0),
    ],
)
def test_word_error_rate_counts_words_and_not_their_dress(heard: str, expected: float) -> None:
    """Case, punctuation and hyphens don't count; a wrong, missing or added word does."""
    assert measure.word_error_rate("Good morning everyone.", heard) == pytest.approx(expected)


def test_word_error_rate_of_nothing_is_zero_only_when_nothing_was_heard() -> None:
    """An empty reference has no error until words appear."""
    assert measure.word_error_rate("", "") == 0
    assert measure.word_error_rate("", "ghost words") == 2


@given(st.text())
def test_normalised_text_is_a_fixed_point(text: str) -> None:
    """Normalising twice is normalising once."""
    once = measure.normalise(text)
    assert measure.normalise(once) == once


def test_errors_are_each_speakers_own_when_lines_are_swapped() -> None:
    """A line under another's name is wrong twice: missing there, added here."""
    lines = list(meetings.stored())
    lines[0] = msgspec.structs.replace(lines[0], speaker=lines[1].speaker)
    errors = {speaker.identity: speaker for speaker in measure.speaker_errors(meetings.said(), lines)}
    assert errors["maya"].errors == 8
    assert errors["robert"].errors == 8


def test_nothing_is_misattributed_when_all_is_right() -> None:
    """The reference meeting has no wrong line."""
    assert measure.misattributed(meetings.said(), meetings.stored()) == ()


@pytest.mark.parametrize("identity", ["robert", "eve"])
def test_line_is_misattributed_when_another_said_it(identity: str) -> None:
    """Under somebody else's name, or under a name that never spoke."""
    lines = list(meetings.stored())
    lines[2] = msgspec.structs.replace(lines[2], speaker=CaptionSpeaker(identity, "X", "human"))
    assert measure.misattributed(meetings.said(), lines) == (lines[2],)


def test_agents_lines_are_nobodys_words() -> None:
    """What the agent said is not held against the people."""
    agent = CaptionSpeaker("agent-1", "Minutes", "agent")
    lines = [*meetings.stored(), msgspec.structs.replace(meetings.stored()[0], speaker=agent)]
    assert measure.misattributed(meetings.said(), lines) == ()
    assert all(speaker.errors == 0 for speaker in measure.speaker_errors(meetings.said(), lines))


def test_live_and_stored_differ_in_nothing_when_they_are_the_same() -> None:
    """Interims don't count as lines."""
    interim = msgspec.structs.replace(meetings.captions()[0].caption, final=False, id=None, ended_ms=None, text="Goo")
    heard = [HeardCaption(1, interim), *meetings.captions()]
    assert measure.live_differences(heard, meetings.stored()) == ()


def test_live_differences_name_each_line_that_is_not_the_same() -> None:
    """Missing on one side, doubled, without an id, or changed: one sentence each."""
    captions, lines = meetings.captions(), meetings.stored()
    changed = (msgspec.structs.replace(lines[0], text="Other words."), *lines[1:])
    nameless = msgspec.structs.replace(captions[0], caption=msgspec.structs.replace(captions[0].caption, id=None))
    assert measure.live_differences(captions, lines[1:]) == (f"{lines[0].id} was captioned and is not stored",)
    assert measure.live_differences(captions[1:], lines) == (f"{lines[0].id} is stored and was not captioned",)
    assert measure.live_differences(captions, changed) == (f"{lines[0].id} has another text live than stored",)
    assert measure.live_differences((*captions, captions[0]), lines) == ("a line was captioned twice",)
    assert measure.live_differences(captions, (*lines, lines[0])) == ("a line is stored twice",)
    assert "a final of Maya has no id" in measure.live_differences((*captions, nameless), lines)


def test_latencies_follow_from_the_last_caption_of_each_utterance() -> None:
    """An utterance that is captioned in two pieces counts once, by the later piece."""
    first, *others = meetings.captions()
    pieces = [
        msgspec.structs.replace(first, caption=msgspec.structs.replace(first.caption, text="Good morning everyone,")),
        msgspec.structs.replace(
            first,
            arrived_ms=first.arrived_ms + 500,
            caption=msgspec.structs.replace(first.caption, text="and thank you for joining."),
        ),
    ]
    latencies = measure.caption_latencies(meetings.said(), [*pieces, *others])
    assert latencies == measure.Latencies(count=4, p50_seconds=1.0, p95_seconds=1.5)


def test_commit_latency_is_from_caption_to_commit() -> None:
    """By id, from arrival in the room to the store's own time of commit."""
    latencies = measure.commit_latencies(meetings.captions(), meetings.stored())
    assert latencies.count == 4
    assert latencies.p50_seconds == pytest.approx(2.0, abs=0.001)


def test_percentiles_are_nearest_rank() -> None:
    """p95 of twenty is the nineteenth; of nothing, nothing."""
    assert measure.percentiles(range(1, 21)) == measure.Latencies(count=20, p50_seconds=10, p95_seconds=19)
    assert measure.percentiles([]) == measure.Latencies(count=0, p50_seconds=None, p95_seconds=None)
