"""What a room must know, and how a caller's wish and a live room's metadata become one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from meetai_contracts.codec import ContractError
from meetai_contracts.room import AgentData, MeetingData, RoomMetadata, parse_room_metadata, write_room_metadata
from meetai_token.domain.errors import MetadataTooLargeError

DEFAULT_AGENT: Final = AgentData(name="MeetAI", instructions="Take part in the meeting, and help when you are asked.")
"""Who joins where the caller has no wish."""


class RoomWish(Struct, frozen=True):
    """What a caller says about a meeting.

    Attributes:
        meeting_name: None: no wish.
        agent: None: no agent is to come. UNSET: no wish.
    """

    meeting_id: str
    meeting_name: str | None = None
    agent: AgentData | UnsetType | None = UNSET

    @property
    def is_none(self) -> bool:
        """Whether the meeting may be whatever it is."""
        return self.meeting_name is None and self.agent is UNSET


class Present(Struct, frozen=True):
    """Somebody in a room; agents too."""

    identity: str
    name: str
    joined_at: datetime
    is_agent: bool
    publishing: bool


class LiveRoom(Struct, frozen=True):
    """A room as it is now."""

    sid: str
    started_at: datetime
    metadata: str
    present: tuple[Present, ...]


class RoomSetup(Struct, frozen=True):
    """What a room must know, be it made now or at the first join.

    Attributes:
        metadata: JSON of `RoomMetadata`.
        agent_name: Which agent is dispatched; None for none.
    """

    metadata: str
    agent_name: str | None


def read_metadata(text: str) -> RoomMetadata | None:
    """What a room knows already, or None where that isn't a metadata of ours."""
    try:
        return parse_room_metadata(text)
    except ContractError:
        return None


def wanted_metadata(wish: RoomWish, known: RoomMetadata | None = None) -> RoomMetadata:
    """A wish, completed by what the room knows already where the caller has none, and by defaults where neither has."""
    name = wish.meeting_name or (known.meeting_data.name if known else default_meeting_name(wish.meeting_id))
    agent = wish.agent
    if agent is UNSET:
        agent = known.agent_data if known else DEFAULT_AGENT
    return RoomMetadata(v=1, meeting_data=MeetingData(id=wish.meeting_id, name=name), agent_data=agent)


def default_meeting_name(meeting_id: str) -> str:
    """A meeting that nobody named goes by its id; one whose id is blank, which ids may be, needs a word."""
    return meeting_id if meeting_id.strip() else "Meeting"


def setup_for(metadata: RoomMetadata, agent_name: str) -> RoomSetup:
    """The room that this metadata asks for.

    Raises:
        MetadataTooLargeError: more than 16 KiB.
    """
    try:
        text = write_room_metadata(metadata)
    except ContractError as error:
        raise MetadataTooLargeError(error.reason) from None
    return RoomSetup(metadata=text, agent_name=agent_name if metadata.agent_data else None)
