"""Recorded speech for the demo and the tests: sixteen lines in four voices, and the play that they make up.

Owns the WAVs, their texts and who says them (`meeting.toml`), read into frozen Structs. Must not decide when a line is
said in seconds (`meetai_local.demo.cues` does) nor send it anywhere.
"""

from meetai_local.speech.recording import SAMPLE_RATE_HZ, Recording, load_recording, trim_silence
from meetai_local.speech.script import CastMember, Line, Script, load_script

__all__ = [
    "SAMPLE_RATE_HZ",
    "CastMember",
    "Line",
    "Recording",
    "Script",
    "load_recording",
    "load_script",
    "trim_silence",
]
