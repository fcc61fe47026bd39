"""What the buffer and whoever delivers for it say to each other: whose lines, which bytes, what to do next."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from meetai_contracts.transcript import BatchKind


class Producer(Struct, frozen=True):
    """One agent job, as the stream knows it."""

    id: UUID
    meeting_id: str
    room_sid: str


class FrozenBatch(Struct, frozen=True):
    """A batch as it is sent, however often: the bytes never change."""

    kind: BatchKind
    first_seq: int
    last_seq: int
    data: bytes


class Send(Struct, frozen=True):
    """Append this batch to the stream, then call `acknowledged` or `failed`."""

    batch: FrozenBatch


class Wait(Struct, frozen=True):
    """Nothing is due for so many seconds (None: until something is added)."""

    seconds: float | None


class ReadSpool(Struct, frozen=True):
    """Read lines `first_seq` to `last_seq` from the spool at `offset`, one batch of them at most, then call `refill`."""

    first_seq: int
    last_seq: int
    offset: int


class Finished(Struct, frozen=True):
    """Closed, and everything has been acknowledged."""


Action = Send | Wait | ReadSpool | Finished
