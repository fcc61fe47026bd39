"""Who speaks when: the play as a plan in seconds, for any cast from two to eight.

Owns the rule that turns pauses between lines into cue times, and when people come and go. Must not know a clock.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from meetai_local.speech import CastMember, Line, Script, load_recording

MIN_SPEAKERS: Final = 2
MAX_SPEAKERS: Final = 8

_FIRST_CUE_SECONDS: Final = 0.5
_JOIN_LEAD_SECONDS: Final = 2.5
"""How long before their first line a late-comer joins: connecting and being heard by the agent take about 0.6 s."""
_LEAVE_LAG_SECONDS: Final = 1.5
"""How long after their last line an early leaver goes, as people do; the recogniser may still be at work then."""
_BREATH_SECONDS: Final = 1.5
"""Silence between two lines of one person, so that no voice activity detection joins them."""


class Utterance(Struct, frozen=True):
    """One line, with its place on the meeting's own clock."""

    line: Line
    starts_seconds: float
    ends_seconds: float


class Part(Struct, frozen=True):
    """What one person does.

    Attributes:
        joins_seconds: When they join; 0 before anyone speaks.
        leaves_seconds: When they leave; None at the end, with the others.
    """

    member: CastMember
    joins_seconds: float
    leaves_seconds: float | None
    utterances: tuple[Utterance, ...]


class Plan(Struct, frozen=True):
    """A whole meeting. The first part is the host's, who is there from start to end."""

    name: str
    parts: tuple[Part, ...]

    @property
    def ends_seconds(self) -> float:
        """When the last word is said."""
        return max(utterance.ends_seconds for part in self.parts for utterance in part.utterances)


def plan_meeting(script: Script, speakers: int) -> Plan:
    """Give the first `speakers` of the cast their lines and cue times.

    Raises:
        ValueError: fewer than two speakers, or more than eight.
    """
    if not MIN_SPEAKERS <= speakers <= MAX_SPEAKERS:
        raise ValueError(f"SPEAKERS must be {MIN_SPEAKERS} to {MAX_SPEAKERS}, not {speakers}")
    cast = script.cast[:speakers]
    said: dict[str, list[Utterance]] = {member.identity: [] for member in cast}
    previous_end = _FIRST_CUE_SECONDS
    for line in script.lines:
        present = [identity for identity in line.said_by if identity in said]
        if not present:
            continue
        own = said[present[-1]]
        start = previous_end + line.pause_seconds
        if own:
            start = max(start, own[-1].ends_seconds + _BREATH_SECONDS)
        end = start + load_recording(line.wav).duration_seconds
        own.append(Utterance(line=line, starts_seconds=start, ends_seconds=end))
        previous_end = end
    return Plan(name=script.name, parts=tuple(_part(member, tuple(said[member.identity])) for member in cast))


def _part(member: CastMember, utterances: tuple[Utterance, ...]) -> Part:
    late, early = member.joins == "late", member.leaves == "early"
    return Part(
        member=member,
        joins_seconds=max(0.0, utterances[0].starts_seconds - _JOIN_LEAD_SECONDS) if late else 0.0,
        leaves_seconds=utterances[-1].ends_seconds + _LEAVE_LAG_SECONDS if early else None,
        utterances=utterances,
    )
