"""LiveKit room metadata, all that the agent knows about a meeting; and what agents in one room say to each other.

Owns `RoomMetadata` and `AgentStand`. Clients in the room can read the first, so it must never hold a secret.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from meetai_contracts.codec import check_size, decode_json, encode_json
from meetai_contracts.identifiers import UnixMs, check_id, check_name

MAX_METADATA_BYTES: Final = 16 * 1024
"""Our own cap; LiveKit's is 512 KiB (FACTS, LiveKit server), and every participant is sent it at every join."""

METADATA_ATTRIBUTE: Final = "meetai.metadata"
"""Participant attribute by which an agent of this system is known: `ok`, or what is wrong with the room's metadata."""
MAX_STAND_BYTES: Final = 1024
SERVING_METHOD: Final = "meetai.serving"
"""RPC method by which one agent tells another its `AgentStand` and is answered with the other's."""

Reply = Literal["addressed", "always", "never"]
StandState = Literal["asking", "serving", "leaving"]


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


class AgentStand(Struct, frozen=True, rename="camel"):
    """Where an agent stands in a room that one agent serves. Whose it is, LiveKit says: the identity of the caller.

    Attributes:
        state: It has just come and asks; it serves; it leaves.
        since_ms: When its job began, Unix milliseconds; of two alike the earlier stays.
    """

    v: Literal[1]
    state: StandState
    since_ms: UnixMs


def parse_agent_stand(payload: str) -> AgentStand:
    """Read another agent's stand.

    Raises:
        ContractError: too large, not JSON or not of this shape.
    """
    return decode_json(payload.encode("utf-8", "replace"), AgentStand, max_bytes=MAX_STAND_BYTES)


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
