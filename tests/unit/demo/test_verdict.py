"""Each promise fails by name when it is broken, and alone."""

from __future__ import annotations

from datetime import timedelta, timezone

import msgspec
import pytest
from tests.unit.demo import meetings

from meetai_local.demo.meeting import MeetingResult
from meetai_local.demo.outcome import Outcome
from meetai_local.demo.verdict import judge

replace = msgspec.structs.replace


def _failed(result: MeetingResult | None = None, outcome: Outcome | None = None) -> tuple[str, ...]:
    return judge(result or meetings.result(), outcome or meetings.outcome()).failed


def test_nothing_fails_when_every_promise_was_kept() -> None:
    """The reference meeting passes all checks, and each says what it measured."""
    verdict = judge(meetings.result(), meetings.outcome())
    assert verdict.failed == ()
    assert all(check.measured and check.limit for check in verdict.checks)


def test_words_fail_when_too_many_are_wrong() -> None:
    """A few wrong words in each line are over both limits, and live is no longer as stored."""
    lines = tuple(replace(line, text=f"wrong words here {line.text}") for line in meetings.stored())
    failed = _failed(outcome=replace(meetings.outcome(), lines=lines))
    assert failed == ("word error rate", "each speaker's", "live = stored")


def test_one_speaker_fails_when_the_others_hide_it() -> None:
    """Three wrong words of forty are within the limit of all, but not of the one who said them."""
    said = tuple(
        replace(utterance, text=f"{utterance.text} {'and so on it goes for a while ' * 8}".strip())
        if utterance.identity == "maya"
        else utterance
        for utterance in meetings.said()
    )
    lines = tuple(
        replace(line, text=(utterance.text if line.speaker.identity == "maya" else f"{line.text} two words"))
        for line, utterance in zip(meetings.stored(), said, strict=True)
    )
    captions = tuple(
        replace(heard, caption=replace(heard.caption, text=line.text))
        for heard, line in zip(meetings.captions(), lines, strict=True)
    )
    failed = _failed(replace(meetings.result(), said=said, captions=captions), replace(meetings.outcome(), lines=lines))
    assert failed == ("each speaker's",)


def test_live_fails_when_a_stored_line_was_never_captioned() -> None:
    """The captions are part of the promise."""
    result = meetings.result()
    assert _failed(replace(result, captions=result.captions[:-1])) == ("live = stored",)


def test_live_fails_when_a_caption_was_unreadable() -> None:
    """Even if all lines came as well."""
    assert _failed(replace(meetings.result(), unreadable_captions=1)) == ("live = stored",)


def test_attribution_fails_when_a_line_is_under_the_wrong_name() -> None:
    """And with it the words of both speakers."""
    lines = meetings.stored()
    lines = (replace(lines[0], speaker=lines[1].speaker), *lines[1:])
    assert "attribution" in _failed(outcome=replace(meetings.outcome(), lines=lines))


def test_everything_about_words_fails_when_nothing_is_stored() -> None:
    """An empty transcript doesn't pass for want of wrong lines."""
    failed = _failed(replace(meetings.result(), captions=()), replace(meetings.outcome(), lines=()))
    assert failed == (
        "word error rate",
        "each speaker's",
        "live = stored",
        "attribution",
        "speech to caption",
        "caption to commit",
    )


@pytest.mark.parametrize("verdict", ["incomplete", "unproven"])
def test_integrity_fails_when_the_transcript_is_not_proved_complete(verdict: str) -> None:
    """And says the store's own reason."""
    integrity = msgspec.convert(
        {"meetingId": "m", "verdict": verdict, "reason": "line 3 is missing", "producers": []},
        type(meetings.integrity()),
    )
    judged = judge(meetings.result(), replace(meetings.outcome(), integrity=integrity))
    assert judged.failed == ("integrity",)
    assert any("line 3 is missing" in check.measured for check in judged.checks)


def test_integrity_fails_when_the_store_never_answered() -> None:
    """With the last problem as the reason."""
    judged = judge(meetings.result(), replace(meetings.outcome(), integrity=None, problem="HTTP 503"))
    assert judged.failed == ("integrity",)


def test_event_fails_when_there_is_none_or_more_than_one() -> None:
    """Exactly one event for the meeting."""
    event = meetings.room_finished()
    assert _failed(outcome=replace(meetings.outcome(), room_finished=())) == ("livekit/room_finished",)
    assert _failed(outcome=replace(meetings.outcome(), room_finished=(event, event))) == ("livekit/room_finished",)


@pytest.mark.parametrize(
    "change",
    [
        {"started_at": meetings.BEGAN + timedelta(seconds=5)},
        {"started_at": meetings.BEGAN - timedelta(minutes=5)},
        {"ended_at": meetings.BEGAN + timedelta(seconds=10)},
        {"ended_at": meetings.BEGAN + timedelta(minutes=5)},
        {"started_at": (meetings.BEGAN - timedelta(seconds=2)).astimezone(timezone(timedelta(hours=1)))},
    ],
    ids=[
        "started after the first joined",
        "started long before",
        "ended before the last left",
        "ended long after",
        "not UTC",
    ],
)
def test_event_fails_when_its_times_are_not_the_meetings(change: dict[str, object]) -> None:
    """Times are held against those of joining and leaving."""
    event = replace(meetings.room_finished(), **change)
    assert _failed(outcome=replace(meetings.outcome(), room_finished=(event,))) == ("livekit/room_finished",)


def test_captions_fail_when_they_are_slow() -> None:
    """Each 5 s after the words; the commits come later too, so that only this fails."""
    captions = tuple(replace(heard, arrived_ms=heard.arrived_ms + 4000) for heard in meetings.captions())
    lines = tuple(replace(line, committed_at=line.committed_at + timedelta(seconds=4)) for line in meetings.stored())
    failed = _failed(replace(meetings.result(), captions=captions), replace(meetings.outcome(), lines=lines))
    assert failed == ("speech to caption",)


def test_commits_fail_when_one_is_slow() -> None:
    """p95 of four lines is the slowest."""
    lines = meetings.stored()
    lines = (*lines[:-1], replace(lines[-1], committed_at=lines[-1].committed_at + timedelta(seconds=20)))
    assert _failed(outcome=replace(meetings.outcome(), lines=lines)) == ("caption to commit",)
