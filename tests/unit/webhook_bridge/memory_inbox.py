"""An inbox in memory, which passes the adapters' suite."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace
from tests.unit.webhook_bridge.fakes import FakeClock

from meetai_contracts.api import EventState, LedgerEntry, LedgerPage
from meetai_contracts.events import DomainEvent
from meetai_contracts.ledger import MeetingLife, Replayed, ReplayRequest, RoomLife
from meetai_webhook_bridge.domain.delivery import Backlog, ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.errors import (
    MalformedWebhookError,
    NoSuchEventError,
    StoreAwayError,
    UnreplayableEventError,
)
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.meetings import GRACE, Judgement, MeetingEnd, RoomFacts, end_event, hear
from meetai_webhook_bridge.domain.webhooks import Webhook
from meetai_webhook_bridge.ports import LedgerQuery


class OutboxRow:
    """One event, as the outbox knows it."""

    def __init__(self, position: int, outbound: OutboundEvent, received_at: datetime) -> None:
        self.position = position
        self.outbound = outbound
        self.received_at = received_at
        self.state: EventState = "pending"
        self.attempts = 0
        self.next_attempt_at = received_at
        self.asked_at = received_at
        self.sent_at: datetime | None = None
        self.last_error: str | None = None


class MemoryInbox:
    """The ports `Inbox`, `RoomRegister`, `Outbox` and `Ledger`; `is_away` makes it fail as a database would.

    Attributes:
        unreadable: The bytes of entries that aren't events, by their ids in the ledger.
        refuses: Events and rooms that it will never take, by id and sid.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._positions = itertools.count(1)
        self.webhooks: dict[str, Webhook] = {}
        self.rooms: dict[str, RoomFacts] = {}
        self.rows: dict[str, OutboxRow] = {}
        self.unreadable: dict[str, bytes] = {}
        self.refuses: set[str] = set()
        self.is_away = False

    async def accept(self, webhook: Webhook, event: OutboundEvent | None, told: RoomFacts | None = None) -> bool:
        self._answer()
        if webhook.id in self.webhooks:
            return False
        self.webhooks[webhook.id] = webhook
        if event is not None:
            self._add(event)
        if told is not None:
            await self.revise(told.name, lambda known: hear(known, told, GRACE))
        return True

    async def accept_entries(self, entries: Sequence[StreamEntry]) -> int:
        self._answer()
        if any(entry.event and entry.event.event.id in self.refuses for entry in entries):
            raise MalformedWebhookError("refused")
        return sum([self._add(entry.event) if entry.event else self._keep(entry) for entry in entries])

    def _add(self, event: OutboundEvent) -> bool:
        if event.event.id in self.rows:
            return False
        self.rows[event.event.id] = OutboxRow(next(self._positions), event, self._clock.now())
        return True

    def _keep(self, entry: StreamEntry) -> bool:
        about = {
            "stream": entry.stream,
            "entryId": entry.entry_id,
            "reason": entry.reason,
            "payloadBytes": len(entry.payload),
        }
        event = DomainEvent(v=1, id=entry.ledger_id, name="unreadable", occurred_at=self._clock.now(), data=about)
        is_new = self._add(OutboundEvent(event=event, source="stream", meeting_id=None, room_sid=None))
        self.rows[entry.ledger_id].state = "dead"
        self.unreadable.setdefault(entry.ledger_id, entry.payload)
        return is_new

    async def open_rooms(self) -> Sequence[RoomFacts]:
        self._answer()
        return sorted((room for room in self.rooms.values() if room.is_open), key=lambda room: room.started_at)

    async def mark_seen(self, sids: Collection[str], at: datetime) -> None:
        self._answer()
        for sid in sids:
            room = self.rooms[sid]
            if room.is_open and room.seen_at < at:
                self.rooms[sid] = replace(room, seen_at=at, missing_since=None)

    async def revise(self, name: str, judge: Callable[[Sequence[RoomFacts]], Judgement]) -> MeetingEnd | None:
        self._answer()
        judgement = judge([room for room in self.rooms.values() if room.name == name])
        if any(room.sid in self.refuses or "\0" in (room.metadata or "") for room in judgement.changed):
            raise MalformedWebhookError("refused")
        self.rooms.update({room.sid: room for room in judgement.changed})
        if judgement.end is not None:
            self._add(end_event(judgement.end))
        return judgement.end

    async def claim_due(self, *, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        self._answer()
        heads: dict[str, OutboxRow] = {}
        for row in self._in("pending"):
            heads.setdefault(row.outbound.room_sid or row.outbound.event.id, row)
        due = [row for row in heads.values() if row.next_attempt_at <= self._clock.now()][:limit]
        for row in due:
            row.attempts += 1
            row.next_attempt_at = self._clock.now() + timedelta(seconds=lease_seconds)
        return [
            ClaimedEvent(
                event=row.outbound.event,
                attempt=row.attempts,
                source=row.outbound.source,
                waited_seconds=(self._clock.now() - row.asked_at).total_seconds(),
            )
            for row in due
        ]

    async def mark_sent(self, event_id: str) -> None:
        self._answer()
        row = self.rows[event_id]
        row.state, row.sent_at, row.last_error = "sent", self._clock.now(), None

    async def mark_failed(self, claimed: ClaimedEvent, *, reason: str, retry_after_seconds: float | None) -> None:
        self._answer()
        row = self.rows[claimed.event.id]
        if row.state != "pending" or row.attempts != claimed.attempt:
            return
        row.last_error = reason
        if retry_after_seconds is None:
            row.state = "dead"
        else:
            row.next_attempt_at = self._clock.now() + timedelta(seconds=retry_after_seconds)

    async def backlog(self) -> Backlog:
        self._answer()
        pending = self._in("pending")
        oldest = min((row.asked_at for row in pending), default=self._clock.now())
        return Backlog(
            pending=len(pending),
            dead=len(self._in("dead")),
            oldest_pending_seconds=(self._clock.now() - oldest).total_seconds(),
        )

    async def page(self, query: LedgerQuery) -> LedgerPage:
        self._answer()
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: -row.position)
            if query.state in {None, row.state}
            and query.name in {None, row.outbound.event.name}
            and query.meeting_id in {None, row.outbound.meeting_id}
            and query.room_sid in {None, row.outbound.room_sid}
            and (query.received_from is None or row.received_at >= query.received_from)
            and (query.received_before is None or row.received_at < query.received_before)
            and (query.before is None or row.position < query.before)
        ]
        shown = found[: query.limit]
        more = len(found) > len(shown)
        return LedgerPage(events=tuple(_entry(row) for row in shown), next=str(shown[-1].position) if more else None)

    async def replay(self, event_id: str) -> LedgerEntry:
        self._answer()
        if event_id not in self.rows:
            raise NoSuchEventError("no_such_event")
        row = self.rows[event_id]
        if event_id in self.unreadable:
            raise UnreplayableEventError("no_event")
        self._replay(row)
        return _entry(row)

    async def replay_many(self, wanted: ReplayRequest, after: int | None) -> Replayed:
        self._answer()
        chosen = [
            row
            for row in sorted(self.rows.values(), key=lambda row: row.position)
            if row.state != "pending"
            and row.outbound.event.id not in self.unreadable
            and wanted.state in {None, row.state}
            and wanted.name in {None, row.outbound.event.name}
            and wanted.meeting_id in {None, row.outbound.meeting_id}
            and row.received_at >= wanted.received_from
            and (wanted.received_before is None or row.received_at < wanted.received_before)
            and (after is None or row.position > after)
        ][: wanted.limit]
        for row in chosen:
            self._replay(row)
        return Replayed(len(chosen), str(chosen[-1].position) if len(chosen) == wanted.limit else None)

    async def life(self, meeting_id: str) -> MeetingLife:
        self._answer()
        rooms = [room for room in self.rooms.values() if room.name == meeting_id]
        rooms.sort(key=lambda room: room.started_at, reverse=True)
        return MeetingLife(meeting_id, tuple(self._life(room) for room in rooms))

    def _life(self, room: RoomFacts) -> RoomLife:
        end = self.rows.get(f"livekit-room_finished-{room.told_by}")
        return RoomLife(
            room_sid=room.sid,
            started_at=room.started_at,
            announced_at=self._clock.now(),
            seen_at=room.seen_at,
            agent_joined_at=room.agent_joined_at,
            finished_at=room.finished_at,
            told_by=room.told_by,
            accepted_at=end.received_at if end else None,
            sent_at=end.sent_at if end else None,
        )

    def _replay(self, row: OutboxRow) -> None:
        if row.state != "pending":
            row.state, row.attempts, row.sent_at, row.last_error = "pending", 0, None, None
            row.next_attempt_at = row.asked_at = self._clock.now()

    def _answer(self) -> None:
        if self.is_away:
            raise StoreAwayError("away")

    def _in(self, state: EventState) -> list[OutboxRow]:
        return [row for row in sorted(self.rows.values(), key=lambda row: row.position) if row.state == state]


def _entry(row: OutboxRow) -> LedgerEntry:
    event = row.outbound.event
    return LedgerEntry(
        id=event.id,
        name=event.name,
        source=row.outbound.source,
        room_sid=row.outbound.room_sid,
        received_at=row.received_at,
        state=row.state,
        attempts=row.attempts,
        data=event.data,
        sent_at=row.sent_at,
    )
