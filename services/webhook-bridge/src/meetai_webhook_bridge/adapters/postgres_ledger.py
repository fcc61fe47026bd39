"""The ledger in PostgreSQL: what became of each event, delivering it again, and forgetting it when it is old.

Must not decide who may ask, nor how long anything is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from meetai_contracts.api import LedgerEntry, LedgerPage
from meetai_contracts.ledger import MeetingLife, Replayed, ReplayRequest, RoomLife
from meetai_webhook_bridge.adapters.postgres import QUERIES, UNREADABLE, PostgresStore
from meetai_webhook_bridge.adapters.postgres_rooms import ROOMS_OF_A_NAME
from meetai_webhook_bridge.domain.errors import NoSuchEventError, UnreplayableEventError
from meetai_webhook_bridge.ports import LedgerQuery

EXPIRED_AT_ONCE: Final = 1_000
"""Rows a transaction: about 10 ms, in which webhooks are accepted beside it."""


class PostgresLedger(PostgresStore):
    """Keeps the promises of the ports `Ledger` and `Retention`."""

    async def page(self, query: LedgerQuery) -> LedgerPage:
        """One page of the ledger, newest first; the cursor is the position of its last event."""
        row = {**msgspec.structs.asdict(query), "batch": query.limit + 1}
        rows = await self._fetch("list_events", row)
        shown = rows[: query.limit]
        more = len(rows) > len(shown)
        return LedgerPage(events=tuple(_entry(row) for row in shown), next=str(shown[-1][0]) if more else None)

    async def replay(self, event_id: str) -> LedgerEntry:
        """See `Ledger.replay`."""
        await self._fetch("replay_event", {"id": event_id, "unreadable": UNREADABLE})
        found = await self._fetch("find_event", {"id": event_id})
        if not found:
            raise NoSuchEventError("no_such_event")
        entry = _entry(found[0])
        if entry.name == UNREADABLE:
            raise UnreplayableEventError("no_event")
        return entry

    async def replay_many(self, wanted: ReplayRequest, after: int | None) -> Replayed:
        """See `Ledger.replay_many`."""
        row = {
            "state": wanted.state,
            "name": wanted.name,
            "meeting_id": wanted.meeting_id,
            "received_from": wanted.received_from,
            "received_before": wanted.received_before,
            "after": after,
            "unreadable": UNREADABLE,
            "batch": wanted.limit,
        }
        positions = sorted(position for (position,) in await self._fetch("replay_events", row))
        return Replayed(len(positions), str(positions[-1]) if len(positions) == wanted.limit else None)

    async def life(self, meeting_id: str) -> MeetingLife:
        """See `Ledger.life`."""
        rows = await self._fetch("rooms_life", {"name": meeting_id, "at_most": ROOMS_OF_A_NAME})
        return MeetingLife(meeting_id=meeting_id, rooms=tuple(_room_life(row) for row in rows))

    async def expire(self, before: datetime) -> int:
        """See `Retention.expire`."""
        removed = 0
        for query in ("expire_inbox", "expire_outbox", "expire_rooms"):
            removed += await self._expire(query, before)
        return removed

    async def _expire(self, query: str, before: datetime) -> int:
        async def delete(connection: AsyncConnection[TupleRow]) -> int:
            return (await connection.execute(QUERIES[query], {"before": before, "batch": EXPIRED_AT_ONCE})).rowcount

        return await self._run(delete)


def _room_life(row: TupleRow) -> RoomLife:
    sid, started_at, heard_at, seen_at, agent_joined_at, finished_at, told_by, accepted_at, sent_at = row
    return RoomLife(
        room_sid=sid,
        started_at=started_at,
        announced_at=heard_at,
        seen_at=seen_at,
        agent_joined_at=agent_joined_at,
        finished_at=finished_at,
        told_by=told_by,
        accepted_at=accepted_at,
        sent_at=sent_at,
    )


def _entry(row: TupleRow) -> LedgerEntry:
    _position, event_id, name, source, room_sid, received_at, state, attempts, data, sent_at = row
    return LedgerEntry(
        id=event_id,
        name=name,
        source=source,
        room_sid=room_sid,
        received_at=received_at,
        state=state,
        attempts=attempts,
        data=data,
        sent_at=sent_at,
    )
