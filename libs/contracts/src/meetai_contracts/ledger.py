"""What webhook-bridge tells beside its ledger's pages: a meeting's life with its times, and what a replay came to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from meetai_contracts.approval import Zoned
from meetai_contracts.identifiers import check_id


class ReplayRequest(Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Which events to deliver again, oldest first. They keep their ids: Inngest runs nothing twice within 24 h of the first.

    A field that isn't known is refused: a misspelt filter must not mean every event.

    Attributes:
        received_from, received_before: When the bridge took them; the second instant is not included.
        state: Only those in this state; without it, both. What is pending is on its way already.
        limit: Events to replay, at most; `next` of the answer is the cursor to go on with.
    """

    received_from: Zoned
    received_before: Zoned | None = None
    state: Literal["sent", "dead"] | None = None
    name: str | None = None
    meeting_id: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            check_id(self.name, "name")
        if self.meeting_id is not None:
            check_id(self.meeting_id, "meetingId")


class Replayed(Struct, frozen=True, rename="camel"):
    """How many events will be delivered again; `next` is where to go on, null when none is left."""

    replayed: int
    next: str | None


class RoomLife(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One room of a meeting, and when what happened to it. A time that is absent isn't known, or hasn't come.

    Attributes:
        started_at: When LiveKit made it.
        announced_at: When the bridge first heard of it.
        agent_joined_at: When an agent first joined.
        seen_at: When it was last known to be alive.
        finished_at: When it ended.
        told_by: The sid of the room under which the meeting's end was told; another one's when LiveKit was restarted.
        accepted_at, sent_at: When that end was stored, and when Inngest took it.
    """

    room_sid: str
    started_at: Zoned
    announced_at: Zoned
    seen_at: Zoned
    agent_joined_at: Zoned | None = None
    finished_at: Zoned | None = None
    told_by: str | None = None
    accepted_at: Zoned | None = None
    sent_at: Zoned | None = None


class MeetingLife(Struct, frozen=True, rename="camel"):
    """The rooms that a meeting had, latest first, 50 at most."""

    meeting_id: str
    rooms: tuple[RoomLife, ...]
