"""The recordings and the play that ship with the package."""

from __future__ import annotations

from importlib import resources

import msgspec
import pytest

from meetai_local.speech import Script, load_recording, load_script, trim_silence
from meetai_local.speech.script import CastMember, Line

MAX_SPEECH_BYTES = 2 * 1024 * 1024


@pytest.mark.parametrize("line", load_script().lines, ids=lambda line: line.wav)
def test_recording_is_short_and_without_silence_at_its_ends(line: Line) -> None:
    """Each line has its WAV, 16 kHz mono 16 bits, 2.5 to 4.5 s long, and ends where speech ends."""
    recording = load_recording(line.wav)
    assert 2.5 <= recording.duration_seconds <= 4.5
    assert trim_silence(recording.pcm) == recording.pcm


def test_recordings_stay_small() -> None:
    """All WAVs together are at most 2 MiB, and none is left over from an older play."""
    files = [file for file in resources.files("meetai_local.speech").iterdir() if file.name.endswith(".wav")]
    assert {file.name for file in files} == {line.wav for line in load_script().lines}
    assert sum(len(file.read_bytes()) for file in files) <= MAX_SPEECH_BYTES


def test_play_uses_four_voices_and_different_words_for_each_line() -> None:
    """Eight people share four voices, and no two lines are alike, so that a line tells whose it is."""
    script = load_script()
    assert len(script.cast) == 8
    assert {member.voice for member in script.cast} == {"slt", "rms", "awb", "kal16"}
    assert len({line.text for line in script.lines}) == len(script.lines)


def test_silence_is_trimmed_in_steps_of_10_ms() -> None:
    """Only what is audible is left; of silence alone, nothing."""
    quiet, loud = bytes(320), b"\x00\x10" * 160
    assert trim_silence(quiet * 3 + loud + quiet + loud + quiet * 5) == loud + quiet + loud
    assert trim_silence(quiet * 4) == b""


@pytest.mark.parametrize(("said_by", "message"), [(("eve",), "not in the cast"), (("a", "b"), "more than one voice")])
def test_play_is_refused_when_a_line_has_no_one_voice(said_by: tuple[str, ...], message: str) -> None:
    """A line by a stranger, or by two people with different voices, can't be recorded."""
    cast = (CastMember("a", "A", "slt"), CastMember("b", "B", "rms"))
    with pytest.raises(ValueError, match=message):
        Script(name="x", cast=cast, lines=(Line("1.wav", "words", said_by, 0.0),))


def test_play_is_refused_when_a_key_is_unknown() -> None:
    """A typing error in meeting.toml is an error, not a line without a pause."""
    with pytest.raises(msgspec.ValidationError, match="pauze_seconds"):
        msgspec.toml.decode(
            b'name="x"\ncast=[]\n[[lines]]\nwav="1"\ntext="t"\nsaid_by=["a"]\npauze_seconds=1', type=Script
        )
