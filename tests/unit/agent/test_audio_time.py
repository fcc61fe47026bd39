"""From a position in the audio to the wall clock, through late frames, bursts and pauses."""

from __future__ import annotations

import random

import pytest

from meetai_agent.domain.audio_time import AudioClock

RATE = 16_000
FRAME = 800  # 50 ms
START_MS = 1_700_000_000_000


def position(ms: int) -> int:
    return ms * RATE // 1000


def test_there_is_no_answer_when_nothing_was_pushed() -> None:
    """Nobody asks before there is audio."""
    with pytest.raises(ValueError, match="no audio"):
        AudioClock(RATE).unix_ms(0)


def test_times_are_exact_when_frames_come_evenly() -> None:
    """The last sample of a frame arrives when it was spoken, as near as anyone knows."""
    clock = AudioClock(RATE)
    for number in range(1, 41):
        clock.pushed(FRAME, START_MS + number * 50)
    assert [clock.unix_ms(position(ms)) for ms in (0, 50, 1000, 2000)] == [START_MS + ms for ms in (0, 50, 1000, 2000)]


def test_times_are_close_when_frames_come_late_and_in_bursts() -> None:
    """No frame is early, so one that came in time sets the others right."""
    chance = random.Random(3)
    clock = AudioClock(RATE)
    for number in range(1, 401):
        late = 0 if number % 20 == 0 else chance.randint(0, 400)
        clock.pushed(FRAME, START_MS + number * 50 + late)
    assert abs(clock.unix_ms(position(19_000)) - (START_MS + 19_000)) <= 5


def test_times_are_right_again_when_the_event_loop_stood_still() -> None:
    """Two seconds of frames come at once: what looks like a pause at first is known not to be one at the burst's end."""
    clock = AudioClock(RATE)
    for number in range(1, 21):
        clock.pushed(FRAME, START_MS + number * 50)
    for _ in range(40):
        clock.pushed(FRAME, START_MS + 3000)
    assert abs(clock.unix_ms(position(2500)) - (START_MS + 2500)) <= 50
    assert clock.unix_ms(position(500)) == START_MS + 500


def test_times_go_on_after_the_pause_when_a_microphone_sent_nothing() -> None:
    """The position stood still, the wall clock did not; before the pause all stays as it was."""
    clock = AudioClock(RATE)
    for number in range(1, 21):
        clock.pushed(FRAME, START_MS + number * 50)
    for number in range(21, 41):
        clock.pushed(FRAME, START_MS + 60_000 + number * 50)
    assert clock.unix_ms(position(900)) == START_MS + 900
    assert clock.unix_ms(position(1500)) == START_MS + 61_500


def test_memory_is_bounded_when_there_are_many_pauses() -> None:
    """Only the last stretches are kept; an older position gets the oldest that is known."""
    clock = AudioClock(RATE)
    for number in range(1, 1001):
        clock.pushed(FRAME, START_MS + number * 10_000)
    assert len(clock._stretches) <= 8
    assert clock.unix_ms(position(49_980)) == START_MS + 10_000_000 - 20
    assert clock.unix_ms(0) > START_MS
