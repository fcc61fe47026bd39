"""What every inbox promises, the one in memory and the one in PostgreSQL alike."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

from meetai_contracts.events import DomainEvent
from meetai_webhook_bridge.domain.delivery import ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.webhooks import Room, Webhook
from meetai_webhook_bridge.ports import Inbox, Ledger, LedgerQuery, Outbox

AT = datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
LEASED = 3600.0
"""A lease that doesn't end during a test."""
IN_TIME_SECONDS = 300.0


class Store(Inbox, Outbox, Ledger, Protocol):
    """All that the suite asks of an inbox."""


def webhook(webhook_id: str, *, sid: str = "RM_1") -> Webhook:
    room = Room(sid=sid, name="standup", created_at=AT)
    body = {"id": webhook_id, "room": {"name": "standup 😀", "n": [1, None, True, 1.5]}}
    return Webhook(id=webhook_id, event="room_finished", created_at=AT, room=room, body=body)


def outbound(event_id: str, *, sid: str | None = "RM_1", meeting_id: str | None = "standup") -> OutboundEvent:
    event = DomainEvent(
        v=1, id=event_id, name="livekit/room_finished", occurred_at=AT, data={"roomSid": sid, "é": "😀"}
    )
    return OutboundEvent(event=event, source="webhook", meeting_id=meeting_id, room_sid=sid)


def entry(event: OutboundEvent | None, payload: bytes = b"the payload") -> StreamEntry:
    reason = "" if event else "v: is not one of the accepted values"
    return StreamEntry("meetai:events", "1-0", payload, event, reason)


async def claim(store: Outbox, *, limit: int = 16, lease_seconds: float = LEASED) -> list[ClaimedEvent]:
    return list(await store.claim_due(limit=limit, lease_seconds=lease_seconds))


def ids(claimed: list[ClaimedEvent]) -> list[str]:
    return sorted(one.event.id for one in claimed)


class InboxSuite:
    """Subclasses give the fixture `store`."""

    async def test_an_accepted_event_is_claimed_as_it_was_stored(self, store: Store) -> None:
        """Nothing of it changes on the way through the store."""
        assert await store.accept(webhook("EV_1"), outbound("event-1"))
        (claimed,) = await claim(store)
        assert (claimed.event, claimed.attempt) == (outbound("event-1").event, 1)
        assert (claimed.source, claimed.traceparent) == (outbound("event-1").source, None)
        assert 0 <= claimed.waited_seconds < IN_TIME_SECONDS

    async def test_nothing_more_happens_when_a_webhook_comes_again(self, store: Store) -> None:
        """LiveKit's retry finds its webhook stored."""
        assert await store.accept(webhook("EV_1"), outbound("event-1"))
        assert not await store.accept(webhook("EV_1"), outbound("event-1"))
        assert ids(await claim(store)) == ["event-1"]

    async def test_there_is_one_event_when_two_webhooks_say_the_same(self, store: Store) -> None:
        """A second `room_finished` of one room sid, under another webhook id, is accepted and adds nothing."""
        assert await store.accept(webhook("EV_1"), outbound("event-1"))
        assert await store.accept(webhook("EV_2"), outbound("event-1"))
        assert ids(await claim(store)) == ["event-1"]

    async def test_one_of_many_deliveries_is_new_when_they_come_at_once(self, store: Store) -> None:
        """Two replicas given the same webhook store it once."""
        results = await asyncio.gather(*(store.accept(webhook("EV_1"), outbound("event-1")) for _ in range(6)))
        assert sorted(results) == [False] * 5 + [True]
        assert ids(await claim(store)) == ["event-1"]

    async def test_a_webhook_is_stored_when_it_has_no_event(self, store: Store) -> None:
        """Its id is known from then on."""
        assert await store.accept(webhook("EV_1"), None)
        assert not await store.accept(webhook("EV_1"), outbound("event-1"))
        assert await claim(store) == []

    async def test_entries_become_events_once_when_they_come_again(self, store: Store) -> None:
        """A stream delivers at least once; what a webhook has told already isn't told again either."""
        await store.accept(webhook("EV_1"), outbound("event-1"))
        entries = [entry(outbound(f"event-{number}", sid=f"RM_{number}")) for number in (1, 2, 3)]
        assert await store.accept_entries([*entries, entries[2]]) == 2
        assert await store.accept_entries(entries) == 0
        assert ids(await claim(store)) == ["event-1", "event-2", "event-3"]

    async def test_entries_of_one_room_are_claimed_in_their_order(self, store: Store) -> None:
        """As they were on the stream, whatever their ids."""
        await store.accept_entries([entry(outbound("z")), entry(outbound("a"))])
        assert ids(await claim(store)) == ["z"]
        await store.mark_sent("z")
        assert ids(await claim(store)) == ["a"]

    async def test_an_entry_that_is_no_event_is_listed_as_dead_and_never_sent(self, store: Store) -> None:
        """With where it was and why; its neighbour goes on its way. The same bytes again add nothing."""
        bad = entry(None, b"\0garbage\xff")
        assert await store.accept_entries([bad, entry(outbound("event-1"))]) == 2
        assert await store.accept_entries([bad]) == 0
        assert ids(await claim(store)) == ["event-1"]
        assert (await store.backlog()).dead == 1
        (listed,) = (await store.page(LedgerQuery(limit=9, state="dead"))).events
        assert (listed.id, listed.name, listed.source, listed.attempts) == (bad.ledger_id, "unreadable", "stream", 0)
        assert listed.data == {
            "stream": "meetai:events",
            "entryId": "1-0",
            "reason": "v: is not one of the accepted values",
            "payloadBytes": 9,
        }

    async def test_a_claimed_event_is_nobody_elses_until_its_lease_ends(self, store: Store) -> None:
        """Then it is claimed again, as a further attempt."""
        await store.accept(webhook("EV_1"), outbound("event-1"))
        assert [one.attempt for one in await claim(store, lease_seconds=0)] == [1]
        assert [one.attempt for one in await claim(store)] == [2]
        assert await claim(store) == []

    async def test_each_event_is_claimed_once_when_many_claim_at_once(self, store: Store) -> None:
        """Replicas share the work."""
        for number in range(20):
            await store.accept(webhook(f"EV_{number}"), outbound(f"event-{number:02}", sid=f"RM_{number}"))
        batches = await asyncio.gather(*(claim(store, limit=4) for _ in range(6)))
        rest = await claim(store, limit=20)
        assert ids([one for batch in [*batches, rest] for one in batch]) == [f"event-{n:02}" for n in range(20)]
        assert all(len(batch) <= 4 for batch in batches)

    async def test_a_rooms_second_event_waits_until_the_first_is_delivered(self, store: Store) -> None:
        """In order within a room; other rooms don't wait."""
        await store.accept(webhook("EV_1"), outbound("first"))
        await store.accept(webhook("EV_2"), outbound("second"))
        await store.accept(webhook("EV_3"), outbound("elsewhere", sid="RM_2"))
        assert ids(await claim(store)) == ["elsewhere", "first"]
        assert await claim(store) == []
        await store.mark_sent("first")
        assert ids(await claim(store)) == ["second"]

    async def test_a_rooms_second_event_waits_when_the_first_is_to_be_tried_again(self, store: Store) -> None:
        """A failure doesn't let the next one overtake; a death does."""
        await store.accept(webhook("EV_1"), outbound("first"))
        await store.accept(webhook("EV_2"), outbound("second"))
        (first,) = await claim(store)
        await store.mark_failed(first, reason="timeout", retry_after_seconds=LEASED)
        assert await claim(store) == []
        await store.mark_failed(first, reason="timeout", retry_after_seconds=None)
        assert ids(await claim(store)) == ["second"]

    async def test_events_without_a_room_dont_wait_for_each_other(self, store: Store) -> None:
        """There is no order to keep."""
        await store.accept(webhook("EV_1"), outbound("one", sid=None))
        await store.accept(webhook("EV_2"), outbound("two", sid=None))
        assert ids(await claim(store)) == ["one", "two"]

    async def test_a_failed_event_is_due_again_when_its_wait_is_over(self, store: Store) -> None:
        """Its next claim is the next attempt."""
        await store.accept(webhook("EV_1"), outbound("event-1"))
        (claimed,) = await claim(store)
        await store.mark_failed(claimed, reason="timeout", retry_after_seconds=0)
        assert [one.attempt for one in await claim(store)] == [2]

    async def test_a_late_failure_is_void_when_the_event_was_claimed_since(self, store: Store) -> None:
        """Whoever holds the lease says when it is due."""
        await store.accept(webhook("EV_1"), outbound("event-1"))
        (late,) = await claim(store, lease_seconds=0)
        await claim(store)
        await store.mark_failed(late, reason="timeout", retry_after_seconds=0)
        await store.mark_failed(late, reason="timeout", retry_after_seconds=None)
        assert await claim(store) == []
        assert (await store.backlog()).pending == 1

    async def test_a_sent_event_stays_sent_when_a_late_failure_is_reported(self, store: Store) -> None:
        """And it is never claimed again."""
        await store.accept(webhook("EV_1"), outbound("event-1"))
        (claimed,) = await claim(store, lease_seconds=0)
        await store.mark_sent("event-1")
        await store.mark_failed(claimed, reason="timeout", retry_after_seconds=0)
        assert await claim(store) == []
        (entry,) = (await store.page(LedgerQuery(limit=10))).events
        assert entry.state == "sent"
        assert entry.sent_at is not None

    async def test_the_backlog_counts_what_isnt_delivered(self, store: Store) -> None:
        """Sent events are not in it."""
        assert (await store.backlog()).oldest_pending_seconds == 0
        for name in ("sent", "dead", "pending", "pending too"):
            await store.accept(webhook(f"EV {name}"), outbound(name, sid=name))
        claimed = {one.event.id: one for one in await claim(store)}
        await store.mark_sent("sent")
        await store.mark_failed(claimed["dead"], reason="timeout", retry_after_seconds=None)
        backlog = await store.backlog()
        assert (backlog.pending, backlog.dead) == (2, 1)
        assert 0 <= backlog.oldest_pending_seconds < 60

    async def test_the_ledger_lists_each_event_once_newest_first_when_paged(self, store: Store) -> None:
        """Pages join without gap or repeat, also while events arrive."""
        for number in range(5):
            await store.accept(webhook(f"EV_{number}"), outbound(f"event-{number}"))
        first = await store.page(LedgerQuery(limit=2))
        await store.accept(webhook("EV_late"), outbound("late"))
        assert first.next is not None
        second = await store.page(LedgerQuery(limit=2, before=int(first.next)))
        assert second.next is not None
        third = await store.page(LedgerQuery(limit=2, before=int(second.next)))
        assert third.next is None
        listed = [entry.id for page in (first, second, third) for entry in page.events]
        assert listed == [f"event-{number}" for number in (4, 3, 2, 1, 0)]

    async def test_the_ledger_shows_one_meeting_and_one_state_when_asked(self, store: Store) -> None:
        """Both filters together."""
        await store.accept(webhook("EV_1"), outbound("mine", sid="RM_1", meeting_id="mine"))
        await store.accept(webhook("EV_2"), outbound("mine, sent", sid="RM_2", meeting_id="mine"))
        await store.accept(webhook("EV_3"), outbound("other", sid="RM_3", meeting_id="other"))
        await claim(store)
        await store.mark_sent("mine, sent")
        (entry,) = (await store.page(LedgerQuery(limit=10, state="pending", meeting_id="mine"))).events
        assert (entry.id, entry.name, entry.source) == ("mine", "livekit/room_finished", "webhook")
        assert (entry.room_sid, entry.attempts, entry.sent_at) == ("RM_1", 1, None)
        assert entry.data == {"roomSid": "RM_1", "é": "😀"}
