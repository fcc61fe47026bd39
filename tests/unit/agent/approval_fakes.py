"""The ports of approvals without an outside, and a kind of proposal that is no calendar."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from tests.unit.agent.fakes import VirtualClock
from uuid_utils.compat import uuid7

from meetai_agent.domain.approver import Person
from meetai_agent.domain.errors import ProposalRefusedError, ReplyUnusableError, StreamUnavailableError
from meetai_agent.domain.proposal import Decided, Popup, Reply
from meetai_agent.usecases.approve import Approvals
from meetai_agent.usecases.asking import Asked, Surroundings
from meetai_agent.usecases.tell import Telling
from meetai_contracts.events import DomainEvent


class MemoryParticipants:
    """`ports.Participants` that come and go as a test says."""

    def __init__(self, *identities: str) -> None:
        self._numbers = itertools.count(1)
        self._people: dict[str, Person] = {}
        self._subscribed: list[Callable[[], None]] = []
        for identity in identities:
            self.join(identity)

    @property
    def subscribers(self) -> int:
        return len(self._subscribed)

    def join(self, identity: str, name: str | None = None) -> None:
        self._people[identity] = Person(identity, identity.title() if name is None else name, next(self._numbers))
        self.wake()

    def leave(self, identity: str) -> None:
        del self._people[identity]
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look at the clock again."""
        for changed in list(self._subscribed):
            changed()

    def people(self) -> list[Person]:
        return list(self._people.values())

    def stay_of(self, identity: str) -> int | None:
        person = self._people.get(identity)
        return person.stay if person else None

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._subscribed.append(changed)
        return lambda: self._subscribed.remove(changed)


class Shown:
    """A popup on somebody's screen, to be answered by the test."""

    def __init__(self, request: str, seconds: float) -> None:
        self.request = json.loads(request)
        self.seconds = seconds
        self.back: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        return str(self.request["proposalId"])

    def answer(self, decision: str, **more: object) -> None:
        self.back.set_result(json.dumps({"v": 1, "proposalId": self.id, "decision": decision, **more}))

    def fail(self, error: Exception) -> None:
        self.back.set_exception(error)


class MemoryPopups:
    """`ports.Popups` that a test looks at and answers."""

    def __init__(self) -> None:
        self.shown: dict[str, list[Shown]] = defaultdict(list)

    async def show(self, identity: str, request: str, *, seconds: float) -> str:
        shown = Shown(request, seconds)
        self.shown[identity].append(shown)
        return await shown.back


class MemoryOutboxes:
    """What `MemoryOutbox`es leave behind: `ports.DeadEvents`."""

    def __init__(self) -> None:
        self.kept: dict[UUID, tuple[bytes, object]] = {}
        self.aside: list[bytes] = []

    def claim(self) -> list[MemoryDeadEvent]:
        dead = [key for key, (_, owner) in self.kept.items() if owner is None]
        return [MemoryDeadEvent(self, key) for key in sorted(dead)]


class MemoryOutbox:
    """`ports.Outbox` in memory."""

    def __init__(self, disk: MemoryOutboxes) -> None:
        self._disk = disk
        self.away = False

    def keep(self, key: UUID, event: bytes) -> bool:
        if self.away:
            return False
        self._disk.kept[key] = (event, self)
        return True

    def drop(self, key: UUID) -> None:
        self._disk.kept.pop(key, None)

    def release(self) -> None:
        for key, (event, owner) in self._disk.kept.items():
            if owner is self:
                self._disk.kept[key] = (event, None)


class MemoryDeadEvent:
    """`ports.DeadEvent` in memory."""

    def __init__(self, disk: MemoryOutboxes, key: UUID) -> None:
        self._disk = disk
        self._key = key
        self.event = disk.kept[key][0]
        disk.kept[key] = (self.event, self)

    def drop(self) -> None:
        self._disk.kept.pop(self._key, None)

    def release(self) -> None:
        if self._key in self._disk.kept:
            self._disk.kept[self._key] = (self.event, None)

    def set_aside(self) -> None:
        self.drop()
        self._disk.aside.append(self.event)


class MemoryEvents:
    """`ports.EventStream` in memory; fails, or lands what it says it hasn't, as told."""

    def __init__(self) -> None:
        self.appended: list[bytes] = []
        self.attempts: list[bytes] = []
        self.failing = False
        self.cut_replies = 0
        self.held: asyncio.Event | None = None

    async def append(self, event: bytes) -> None:
        self.attempts.append(event)
        await asyncio.sleep(0)
        if self.held is not None:
            await self.held.wait()
        if self.failing:
            raise StreamUnavailableError("ConnectionError")
        self.appended.append(event)
        if self.cut_replies:
            self.cut_replies -= 1
            raise StreamUnavailableError("TimeoutError")

    @property
    def told(self) -> list[tuple[str, str]]:
        """Names and ids, in order."""
        return [(event["name"], event["id"]) for event in map(json.loads, self.appended)]


class RecordingDecisionMeter:
    """`ports.DecisionMeter` that a test can ask."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def proposal_ended(self, outcome: str) -> None:
        self.counts[outcome] += 1

    def event_told(self) -> None:
        self.counts["event_told"] += 1

    def telling_failed(self) -> None:
        self.counts["telling_failed"] += 1

    def outbox_failed(self) -> None:
        self.counts["outbox_failed"] += 1


class Purchases:
    """A kind of proposal that is no calendar: a text like `10:pens`, whose number asks for a second look."""

    name = "purchase"

    def canonical(self, content: str) -> bytes:
        return content.strip().casefold().encode()

    def request(self, popup: Popup[str], expires_at: datetime) -> str:
        if len(popup.content) > 100:
            raise ProposalRefusedError("too long")
        return json.dumps({"proposalId": str(popup.id), "content": popup.content, "expiresAt": expires_at.isoformat()})

    def reply(self, payload: str, popup: Popup[str]) -> Reply[str]:
        try:
            answer = json.loads(payload)
        except ValueError as error:
            raise ReplyUnusableError("not JSON") from error
        if answer["proposalId"] != str(popup.id):
            raise ReplyUnusableError("another proposal")
        return Reply(answer["decision"], answer.get("changed"), answer.get("comment"))

    def second_look(self, before: str, after: str) -> bool:
        return before.split(":", maxsplit=1)[0] != after.split(":", maxsplit=1)[0]

    def event(self, end: Decided[str], asked: Asked) -> DomainEvent:
        name = f"meetai/purchase.{end.outcome}"
        data = {"content": end.popup.content, "by": asked.identity, "modified": end.modified, "comment": end.comment}
        return DomainEvent(1, f"meetai-purchase.{end.outcome}-{end.popup.id}", name, asked.at, data)


class ApprovalBench:
    """Approvals over fakes, in a room with some people."""

    def __init__(self, *identities: str) -> None:
        self.participants = MemoryParticipants(*identities)
        self.popups = MemoryPopups()
        self.disk = MemoryOutboxes()
        self.outbox = MemoryOutbox(self.disk)
        self.events = MemoryEvents()
        self.meter = RecordingDecisionMeter()
        self.clock = VirtualClock()
        self.telling = Telling(self.outbox, stream=self.events, meter=self.meter, random=lambda: 0.0)
        self.approvals = Approvals(
            Surroundings(
                meeting_id="standup",
                room_sid="RM_test",
                participants=self.participants,
                popups=self.popups,
                telling=self.telling,
                clock=self.clock,
                meter=self.meter,
                popup_seconds=120.0,
                new_id=lambda: UUID(int=uuid7().int),
                random=lambda: 0.0,
            )
        )
        self.kind = Purchases()
        self.telling.start()

    def propose(self, identity: str, content: str) -> asyncio.Future[Decided[str]]:
        return self.approvals.propose(self.kind, identity, content)

    def pass_seconds(self, seconds: float) -> None:
        """Time passes, and whoever waits for it notices."""
        self.clock.now += seconds
        self.participants.wake()

    async def close(self) -> None:
        await self.approvals.close()
        await self.telling.close()
