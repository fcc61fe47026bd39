"""What every ledger promises beside its pages, the one in memory and the one in PostgreSQL alike."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Protocol

import pytest
from tests.unit.webhook_bridge.inbox_suite import outbound, webhook
from tests.unit.webhook_bridge.rooms_suite import facts

from meetai_contracts.ledger import ReplayRequest
from meetai_servicekit.streams import Arrival
from meetai_webhook_bridge.domain.entries import open_entry
from meetai_webhook_bridge.domain.errors import NoSuchEventError, UnreplayableEventError
from meetai_webhook_bridge.domain.meetings import GRACE, hear
from meetai_webhook_bridge.ports import Inbox, Ledger, LedgerQuery, Outbox, RoomRegister


class Store(Inbox, Outbox, Ledger, RoomRegister, Protocol):
    """All that the suite asks of a store."""


async def sent(store: Store, *names: str) -> None:
    """Events that were delivered, each of a room of its own."""
    for name in names:
        await store.accept(webhook(f"EV {name}"), outbound(name, sid=name))
    for claimed in await store.claim_due(limit=100, lease_seconds=3600):
        await store.mark_sent(claimed.event.id)


async def pending(store: Store) -> list[str]:
    page = await store.page(LedgerQuery(limit=100, state="pending"))
    return [entry.id for entry in page.events]


class LedgerSuite:
    """Subclasses give the fixture `store`."""

    async def test_an_event_is_delivered_again_when_it_is_replayed(self, store: Store) -> None:
        """Under the same id, from its first attempt; one that is pending stays as it is."""
        await sent(store, "one", "two")
        entry = await store.replay("one")
        assert (entry.id, entry.state, entry.attempts, entry.sent_at) == ("one", "pending", 0, None)
        (claimed,) = await store.claim_due(limit=100, lease_seconds=3600)
        assert (claimed.event, claimed.attempt) == (outbound("one", sid="one").event, 1)
        assert (await store.replay("one")).attempts == 1
        assert await store.claim_due(limit=100, lease_seconds=3600) == []

    async def test_nothing_is_replayed_when_there_is_no_such_event(self, store: Store) -> None:
        """Nor when what is listed is no event."""
        with pytest.raises(NoSuchEventError):
            await store.replay("nothing")
        unreadable = open_entry(Arrival("meetai:events", "1-1", {b"e": b"garbage"}))
        await store.accept_entries([unreadable])
        with pytest.raises(UnreplayableEventError):
            await store.replay(unreadable.ledger_id)
        everything = ReplayRequest(received_from=facts().started_at - timedelta(days=36_500))
        assert (await store.replay_many(everything, None)).replayed == 0

    async def test_events_of_a_time_are_replayed_page_by_page(self, store: Store) -> None:
        """Oldest first; those that are pending are none of them, and a time that holds none replays none."""
        await sent(store, *"abcde")
        await store.accept(webhook("EV f"), outbound("f", sid="f"))
        page = await store.page(LedgerQuery(limit=10))
        times = sorted(entry.received_at for entry in page.events)
        wanted = ReplayRequest(received_from=times[0], limit=3)
        first = await store.replay_many(wanted, None)
        assert first.replayed == 3
        assert first.next is not None
        assert sorted(await pending(store)) == ["a", "b", "c", "f"]
        second = await store.replay_many(wanted, int(first.next))
        assert (second.replayed, second.next) == (2, None)
        later = ReplayRequest(received_from=times[-1] + timedelta(seconds=1))
        assert (await store.replay_many(later, None)).replayed == 0
        earlier = ReplayRequest(received_from=times[0] - timedelta(days=1), received_before=times[0])
        assert (await store.replay_many(earlier, None)).replayed == 0

    async def test_the_ledger_is_narrowed_by_name_room_and_time(self, store: Store) -> None:
        """Each filter by itself."""
        await sent(store, "one", "two")
        (newest, oldest) = (await store.page(LedgerQuery(limit=10))).events
        for query, expected in (
            (LedgerQuery(limit=10, name="livekit/room_finished"), 2),
            (LedgerQuery(limit=10, name="livekit/other"), 0),
            (LedgerQuery(limit=10, room_sid="one"), 1),
            (LedgerQuery(limit=10, received_from=oldest.received_at), 2),
            (LedgerQuery(limit=10, received_before=oldest.received_at), 0),
            (LedgerQuery(limit=10, received_from=newest.received_at + timedelta(seconds=1)), 0),
        ):
            assert len((await store.page(query)).events) == expected

    async def test_a_meetings_life_has_its_rooms_and_their_times(self, store: Store) -> None:
        """Latest first; the end that was told belongs to all rooms of the meeting."""
        for told in (facts("RM_1"), facts("RM_2", after_seconds=10), facts("RM_2", after_seconds=10, finished=True)):
            await store.revise("standup", partial(hear, told=told, grace=GRACE))
        await store.revise("other", partial(hear, told=facts("RM_3", name="other"), grace=GRACE))
        for claimed in await store.claim_due(limit=10, lease_seconds=3600):
            await store.mark_sent(claimed.event.id)
        life = await store.life("standup")
        assert [(room.room_sid, room.told_by) for room in life.rooms] == [("RM_2", "RM_2"), ("RM_1", "RM_2")]
        assert life.rooms[0].finished_at == facts(after_seconds=10).seen_at
        assert life.rooms[0].accepted_at is not None
        assert life.rooms[0].sent_at == life.rooms[1].sent_at is not None
        assert (await store.life("nobody")).rooms == ()
