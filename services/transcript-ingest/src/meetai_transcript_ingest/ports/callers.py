"""Who asks. See the package."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

MAX_PARTICIPANT_TOKEN_BYTES: Final = 64 * 1024
"""A LiveKit token carries the room's metadata of up to 16 KiB, as JSON within JSON (quotes double) within base64 (4/3), beside
a few hundred bytes of claims: 44 KiB at the most."""


class Pass(Struct, frozen=True):
    """What a valid token lets its holder do here.

    Attributes:
        identity: The participant.
        meeting_id: The one meeting that they may join as a person; None where the token lets nobody join as one.
    """

    identity: str
    meeting_id: str | None


class ParticipantTokens(Protocol):
    """Who is a participant, by the token that let them into the room. Never raises, and asks nobody."""

    def pass_of(self, token: str) -> Pass | None:
        """What a token stands for; None for whatever isn't a token that is valid now."""
