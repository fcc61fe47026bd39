"""What is known of LiveKit's rooms, in PostgreSQL, and the lock by which one replica leads.

Owns that whoever learns something of a name's rooms does so alone. Must not judge: `domain.meetings` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final

import msgspec
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from meetai_webhook_bridge.adapters.postgres import QUERIES, PostgresStore, insert_event
from meetai_webhook_bridge.domain.meetings import Judgement, MeetingEnd, RoomFacts, end_event

ROOMS_OF_A_NAME: Final = 50
"""The latest. A meeting that LiveKit was restarted under more often than that has another trouble."""
OPEN_ROOMS: Final = 10_000
"""The oldest first; a bound, not an expectation."""

Judge = Callable[[Sequence[RoomFacts]], Judgement]


class PostgresRooms(PostgresStore):
    """Keeps the promise of the port `RoomRegister`."""

    async def open_rooms(self) -> Sequence[RoomFacts]:
        """See `RoomRegister.open_rooms`."""
        return [_facts(row) for row in await self._fetch("open_rooms", {"at_most": OPEN_ROOMS})]

    async def mark_seen(self, sids: Collection[str], at: datetime) -> None:
        """See `RoomRegister.mark_seen`."""
        await self._execute("mark_seen", {"sids": list(sids), "seen_at": at})

    async def revise(self, name: str, judge: Judge) -> MeetingEnd | None:
        """See `RoomRegister.revise`."""
        return await self._run(lambda connection: revise_rooms(connection, name, judge))


async def revise_rooms(connection: AsyncConnection[TupleRow], name: str, judge: Judge) -> MeetingEnd | None:
    """Judge the rooms of a name and store what follows, within the caller's transaction."""
    async with connection.pipeline():
        asked = await ask_for_rooms(connection, name)
    return await follow(connection, judge(await known_rooms(asked)))


async def ask_for_rooms(connection: AsyncConnection[TupleRow], name: str) -> AsyncCursor[TupleRow]:
    """Have the name to oneself until the transaction ends; `known_rooms` reads the answer, after the caller's pipeline."""
    await connection.execute(QUERIES["lock_name"], {"name": name})
    return await connection.execute(QUERIES["rooms_of_name"], {"name": name, "at_most": ROOMS_OF_A_NAME})


async def known_rooms(asked: AsyncCursor[TupleRow]) -> list[RoomFacts]:
    """The rooms that were asked for."""
    return [_facts(row) for row in await asked.fetchall()]


async def follow(connection: AsyncConnection[TupleRow], judgement: Judgement) -> MeetingEnd | None:
    """Store what a judgement says."""
    if judgement.changed:
        async with connection.pipeline():
            for room in judgement.changed:
                await connection.execute(QUERIES["save_room"], msgspec.structs.asdict(room))
            if judgement.end is not None:
                await insert_event(connection, end_event(judgement.end))
    return judgement.end


def _facts(row: TupleRow) -> RoomFacts:
    return RoomFacts(**dict(zip(RoomFacts.__struct_fields__, row, strict=True)))
