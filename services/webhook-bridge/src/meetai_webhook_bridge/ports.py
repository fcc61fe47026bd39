"""What the use cases need from the outside, as Protocols. Every adapter and every fake keeps these promises."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from meetai_contracts.api import EventState, LedgerEntry, LedgerPage
from meetai_contracts.events import DomainEvent
from meetai_contracts.ledger import MeetingLife, Replayed, ReplayRequest
from meetai_servicekit.dispatches import Dispatch
from meetai_servicekit.streams import StreamObserver
from meetai_webhook_bridge.domain.delivery import Backlog, ClaimedEvent
from meetai_webhook_bridge.domain.entries import StreamEntry
from meetai_webhook_bridge.domain.events import OutboundEvent
from meetai_webhook_bridge.domain.meetings import Judgement, MeetingEnd, RoomFacts
from meetai_webhook_bridge.domain.webhooks import Webhook


class WebhookReader(Protocol):
    """Knows who may send webhooks."""

    def read(self, body: bytes, authorization: str) -> Webhook:
        """Verify, then parse.

        Raises:
            ForgedWebhookError: not to be believed.
            MalformedWebhookError: believed, and not understood.
        """


class Inbox(Protocol):
    """What was accepted, webhooks by their ids and events by theirs."""

    async def accept(self, webhook: Webhook, event: OutboundEvent | None, told: RoomFacts | None = None) -> bool:
        """Store all for good, in one transaction; false when this webhook was stored before. An event with an id that is known is not stored again.

        `told` is what the webhook says of its room; if a meeting has ended with that, its event is stored as well.

        Raises:
            StoreAwayError: perhaps nothing was stored.
        """

    async def accept_entries(self, entries: Sequence[StreamEntry]) -> int:
        """Store them for good, in one transaction; returns how many were new. An event with an id that is known is not stored again.

        What isn't an event is kept with its bytes, and listed by the ledger as `dead`.

        Raises:
            RejectError: one of them can't be stored, ever. Nothing was stored.
            StoreAwayError: perhaps nothing was stored.
        """


class Outbox(Protocol):
    """Events on their way. In order within a room; claimed by one process at a time."""

    async def claim_due(self, *, limit: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        """Take events that are due, at most one a room, and keep others from them until the lease ends.

        Raises:
            StoreAwayError: perhaps some are leased to nobody, and come back when their lease ends.
        """

    async def mark_sent(self, event_id: str) -> None:
        """Say that an event was delivered.

        Raises:
            StoreAwayError: it will be delivered again, under the same id.
        """

    async def mark_failed(self, claimed: ClaimedEvent, *, reason: str, retry_after_seconds: float | None) -> None:
        """Say that an attempt failed; `retry_after_seconds` None means that it was the last. Void if someone has claimed it since.

        Raises:
            StoreAwayError: it comes back when its lease ends.
        """

    async def backlog(self) -> Backlog:
        """Count what isn't delivered.

        Raises:
            StoreAwayError: not known now.
        """


class RoomRegister(Protocol):
    """What is known of LiveKit's rooms. Every method raises `StoreAwayError`."""

    async def open_rooms(self) -> Sequence[RoomFacts]:
        """The rooms whose meeting's end is still to be told, oldest first."""

    async def mark_seen(self, sids: Collection[str], at: datetime) -> None:
        """Say that these open rooms are alive."""

    async def revise(self, name: str, judge: Callable[[Sequence[RoomFacts]], Judgement]) -> MeetingEnd | None:
        """Judge all rooms of a name, alone, and store what follows: facts, and the event of an end that is to be told.

        Raises:
            RejectError: what follows can't be stored, ever. Nothing was stored.
        """


class ListedRoom(Struct, frozen=True):
    """A room as LiveKit lists it, which it may do long after its node has died; `people` are participants but agents."""

    sid: str
    name: str
    started_at: datetime
    metadata: str
    people: int


class Rooms(Protocol):
    """LiveKit's rooms. Every method raises `LiveKitAwayError`; those on one room `RoomGoneError` and `NodeSilentError`."""

    async def list_rooms(self) -> Sequence[ListedRoom]:
        """All that are listed."""

    async def check_answers(self, name: str) -> None:
        """Return when the room's node answers."""

    async def agents_joined_at(self, name: str) -> Sequence[datetime]:
        """When each agent that is listed as a participant joined."""

    async def adopt(self, name: str) -> None:
        """Have a room whose node has died taken over by another, which ends it when nobody comes."""

    async def set_metadata(self, room: str, metadata: str) -> None:
        """Change a live room's metadata."""

    async def list_dispatches(self, room: str, agent_name: str) -> list[Dispatch]:
        """All dispatches of this agent to a live room, also those that never came to anything."""

    async def dispatch(self, room: str, agent_name: str) -> Dispatch:
        """Ask for an agent."""


class EventSink(Protocol):
    """Where events are delivered to."""

    async def send(self, event: DomainEvent, *, traceparent: str | None = None) -> None:
        """Return when the event is certainly taken, within a few seconds; with the trace that it belongs to, if there is one.

        Raises:
            SendError: it may or may not have been taken; send it again under the same id.
        """


class LedgerQuery(Struct, frozen=True):
    """Which events to list, newest first; `before` is the cursor of the page before."""

    limit: int
    state: EventState | None = None
    name: str | None = None
    meeting_id: str | None = None
    room_sid: str | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None
    before: int | None = None


class Ledger(Protocol):
    """What became of each event. Every method raises `StoreAwayError`."""

    async def page(self, query: LedgerQuery) -> LedgerPage:
        """One page."""

    async def replay(self, event_id: str) -> LedgerEntry:
        """Have an event delivered again, under the same id; one that is pending is left as it is.

        Raises:
            NoSuchEventError: there is none.
            UnreplayableEventError: it is listed, and no event.
        """

    async def replay_many(self, wanted: ReplayRequest, after: int | None) -> Replayed:
        """Have events delivered again, oldest first; `after` is the cursor of the answer before."""

    async def life(self, meeting_id: str) -> MeetingLife:
        """The rooms that a meeting had, and when what happened to them."""


class Erasure(Protocol):
    """Forgetting a meeting's words on request."""

    async def erase(self, meeting_id: str) -> Mapping[str, int]:
        """Leave ids, times and states of a meeting, and nothing else; returns how many rows of each kind were changed.

        Raises:
            StoreAwayError: some may be left; what was erased stays so.
        """


class Retention(Protocol):
    """Forgetting what is old."""

    async def expire(self, before: datetime) -> int:
        """Remove a batch of webhooks, events that aren't pending and told rooms from before then; returns how many rows, 0 when none is left.

        Raises:
            StoreAwayError: some may be left.
        """


class Measures(StreamObserver, Protocol):
    """What is counted."""

    def webhook_answered(self, event: str, outcome: str) -> None:
        """One webhook; `event` and `outcome` out of a known few."""

    def entries_accepted(self, outcome: str, entries: int) -> None:
        """Entries of the events stream: `new`, `duplicate` or `unreadable`."""

    def event_attempted(self, outcome: str, seconds: float) -> None:
        """One attempt at delivery: `sent`, `failed` or `dead`."""

    def event_delivered(self, source: str, seconds: float) -> None:
        """Inngest has an event, so long after it was stored, or asked for again."""

    def backlog_seen(self, backlog: Backlog) -> None:
        """How much there is to deliver."""

    def rooms_looked_at(self, live: int, missing: int) -> None:
        """How many rooms LiveKit has, and how many of ours it doesn't know or doesn't answer for."""

    def room_mended(self, what: str) -> None:
        """`ended`, `adopted`, `announced`, `metadata_restored` or `agent_dispatched`."""

    def room_refused(self) -> None:
        """A look left a room out, because what is known of it can't be stored."""

    def agents_missing(self, waited_for: int, given_up: int) -> None:
        """Rooms with people that want an agent and have none."""
