"""The people in a LiveKit room who can be asked.

Owns what counts as a stay: one object of the SDK, which makes another when somebody rejoins, and for everyone when it has
reconnected itself; an RPC in flight may be lost in both cases.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

from livekit import rtc
from livekit.rtc.room import EventTypes

from meetai_agent.domain.approver import Person

WITH_A_SCREEN: Final = frozenset(
    {
        rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
        rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
    }
)
"""Browsers and apps. A telephone shows no popup, and other agents approve nothing."""
EVENTS: Final[tuple[EventTypes, ...]] = (
    "participant_connected",
    "participant_disconnected",
    "reconnected",
    "disconnected",
)


class RoomParticipants:
    """`ports.Participants` over `rtc.Room`."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._numbers = count(1)
        self._stays: dict[rtc.RemoteParticipant, int] = {}

    def people(self) -> list[Person]:
        """Those who are here now."""
        here = {each: self._stays.get(each) or next(self._numbers) for each in self._room.remote_participants.values()}
        self._stays = here
        return [
            Person(identity=each.identity, name=each.name, stay=stay)
            for each, stay in here.items()
            if each.kind in WITH_A_SCREEN
        ]

    def stay_of(self, identity: str) -> int | None:
        """Their stay; None while they aren't here, or the room isn't."""
        if not self._room.isconnected():
            return None
        return next((person.stay for person in self.people() if person.identity == identity), None)

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever somebody came or went."""

        def on_event(*_: object) -> None:
            changed()

        for event in EVENTS:
            self._room.on(event, on_event)

        def unsubscribe() -> None:
            for event in EVENTS:
                self._room.off(event, on_event)

        return unsubscribe
