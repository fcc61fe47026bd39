"""The play: who is in the meeting, what they say and in which order.

Owns reading `meeting.toml`. Must not open a recording or know a clock.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct


class CastMember(Struct, frozen=True, forbid_unknown_fields=True):
    """One person in the meeting.

    Attributes:
        identity: User id, and so the participant's identity in LiveKit.
        voice: The flite voice that speaks for them.
        joins: `late`: shortly before their first line, when the others are already talking.
        leaves: `early`: shortly after their last line, while the others go on.
    """

    identity: str
    name: str
    voice: str
    joins: Literal["start", "late"] = "start"
    leaves: Literal["end", "early"] = "end"


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the play.

    Attributes:
        wav: File name of the recording, in this package.
        text: The reference: what the recording says.
        said_by: Identities; the last of them who is in the cast of the day says it.
        pause_seconds: From the end of the line before to the start of this one; negative talks over it.
    """

    wav: str
    text: str
    said_by: Annotated[tuple[str, ...], Meta(min_length=1)]
    pause_seconds: float


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole play: as many of `cast` as are wanted, from the first, say `lines` in order."""

    name: str
    cast: tuple[CastMember, ...]
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        voices = {member.identity: member.voice for member in self.cast}
        if len(voices) != len(self.cast):
            raise ValueError("cast: an identity is given twice")
        for line in self.lines:
            if strangers := set(line.said_by) - set(voices):
                raise ValueError(f"lines: {line.wav} is said by {sorted(strangers)}, who are not in the cast")
            if len({voices[identity] for identity in line.said_by}) != 1:
                raise ValueError(f"lines: {line.wav} would be said in more than one voice")

    def voice_of(self, line: Line) -> str:
        """The flite voice in which a line is recorded."""
        return next(member.voice for member in self.cast if member.identity == line.said_by[0])


def load_script() -> Script:
    """Read the play that ships with this package.

    Raises:
        msgspec.ValidationError: `meeting.toml` is not a play.
    """
    return msgspec.toml.decode(
        resources.files("meetai_local.speech").joinpath("meeting.toml").read_bytes(), type=Script
    )
