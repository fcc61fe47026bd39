"""LiveKit room metadata: all that the agent knows about a meeting.

Owns `RoomMetadata`. Clients in the room can read it, so it must never hold a secret.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from meetai_contracts.codec import check_size, decode_json, encode_json
from meetai_contracts.identifiers import check_id, check_name

MAX_METADATA_BYTES: Final = 16 * 1024
"""Our own cap; LiveKit's is 512 KiB (FACTS, LiveKit server), and every participant is sent it at every join."""

Reply = Literal["addressed", "always", "never"]


class MeetingData(Struct, frozen=True, rename="camel"):
    """Which meeting this is.

    Attributes:
        id: The meeting id, equal to the room's name.
        name: What people call the meeting.
    """

    id: str
    name: str

    def __post_init__(self) -> None:
        check_id(self.id, "id")
        check_name(self.name, "name")


class AgentData(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who the agent is in this meeting.

    Attributes:
        name: The agent's display name, and what it answers to.
        instructions: What it should do, in the application's own words.
        language: BCP 47 tag of the language spoken, e.g. `en`; None lets the recogniser decide.
        voice: The provider's own name of a voice; None takes the provider's default.
        reply: When it answers; None means `addressed`.
    """

    name: str
    instructions: Annotated[str, Meta(max_length=12_000)]
    language: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")] | None = None
    voice: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    reply: Reply | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "name")


class RoomMetadata(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The JSON in a room's metadata, at most 16 KiB.

    Attributes:
        agent_data: Absent in a meeting without an agent; none is dispatched then.
    """

    v: Literal[1]
    meeting_data: MeetingData
    agent_data: AgentData | None = None


def parse_room_metadata(metadata: str) -> RoomMetadata:
    """Read a room's metadata.

    Raises:
        ContractError: empty, too large, not JSON or not of this shape.
    """
    return decode_json(metadata.encode("utf-8", "replace"), RoomMetadata, max_bytes=MAX_METADATA_BYTES)


def write_room_metadata(metadata: RoomMetadata) -> str:
    """Write a room's metadata.

    Raises:
        ContractError: more than 16 KiB.
    """
    text = encode_json(metadata)
    check_size(text, MAX_METADATA_BYTES)
    return text.decode()
