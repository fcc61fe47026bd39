"""What every list of participants must do: the fake in memory and the real room pass the same tests."""

from __future__ import annotations

from typing import Protocol

import pytest
from tests.waiting import until

from meetai_agent.ports.approving import Participants


class Meeting(Protocol):
    """A meeting that people come to and leave."""

    @property
    def participants(self) -> Participants:
        """Those who are there."""

    async def join(self, identity: str, name: str) -> None:
        """Somebody comes; under an identity that is there already, as a reload does."""

    async def leave(self, identity: str) -> None:
        """They go."""


class ParticipantsSuite:
    """Inherit, and give a `meeting` fixture with nobody in it."""

    @pytest.fixture
    async def meeting(self) -> Meeting:
        raise NotImplementedError

    async def test_people_are_known_when_they_are_there(self, meeting: Meeting) -> None:
        """By identity and display name; whoever has left isn't."""
        participants = meeting.participants
        assert participants.people() == []
        assert participants.stay_of("ada") is None
        await meeting.join("ada", "Ada Lovelace")
        await meeting.join("bo", "")
        await until(lambda: participants.stay_of("bo") is not None)
        assert {(person.identity, person.name) for person in participants.people()} == {
            ("ada", "Ada Lovelace"),
            ("bo", ""),
        }
        assert {person.identity: person.stay for person in participants.people()} == {
            identity: participants.stay_of(identity) for identity in ("ada", "bo")
        }
        await meeting.leave("ada")
        await until(lambda: participants.stay_of("ada") is None)
        assert [person.identity for person in participants.people()] == ["bo"]

    async def test_a_stay_is_another_when_somebody_comes_back(self, meeting: Meeting) -> None:
        """After leaving, and after taking their own place; while they stay it is the same."""
        participants, stays = meeting.participants, set[int | None]()
        changes = 0

        def count() -> None:
            nonlocal changes
            changes += 1

        unsubscribe = participants.subscribe(count)
        await meeting.join("ada", "Ada")
        await until(lambda: participants.stay_of("ada") is not None)
        stays.add(participants.stay_of("ada"))
        assert participants.stay_of("ada") in stays
        await meeting.join("ada", "Ada")
        await until(lambda: participants.stay_of("ada") not in stays | {None})
        stays.add(participants.stay_of("ada"))
        await meeting.leave("ada")
        await until(lambda: participants.stay_of("ada") is None)
        await meeting.join("ada", "Ada")
        await until(lambda: participants.stay_of("ada") not in stays | {None})
        assert changes >= 4
        unsubscribe()
        before = changes
        await meeting.leave("ada")
        await until(lambda: participants.stay_of("ada") is None)
        assert changes == before
