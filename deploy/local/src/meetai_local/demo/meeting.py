"""A whole meeting of simulated participants.

Owns the order of events: everyone joins, speaks and leaves on cue, and the host adjourns when the captions have come.
Must not print or judge; what happened is returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from meetai_contracts.api import AgentRequest, TokenRequest
from meetai_local.demo.approval import Answered, ApprovalScreen, ask_agent
from meetai_local.demo.captions import HeardCaption, OnCaption
from meetai_local.demo.cues import Part, Plan
from meetai_local.demo.participant import SimulatedParticipant, TokenIssuer
from meetai_local.speech import load_recording

AGENT: Final = AgentRequest(
    name="Minutes",
    instructions="You keep the minutes of this meeting. Speak only when you are asked to.",
    language="en",
)
LINGER_SECONDS: Final = 10.0
"""How long the host waits at most for the last captions; p95 of end of speech to caption is well below it."""
_SAME_END_MS: Final = 500
"""A recogniser's end of speech is this close to the real one."""


class Said(Struct, frozen=True):
    """One utterance as it was really said, Unix milliseconds."""

    identity: str
    name: str
    text: str
    started_ms: int
    ended_ms: int


class Presence(Struct, frozen=True):
    """When one person was in the room, Unix milliseconds."""

    identity: str
    name: str
    joined_ms: int
    left_ms: int


class MeetingResult(Struct, frozen=True):
    """What happened, as the people in the room know it.

    Attributes:
        started_ms: When the play began; cue times count from here.
        said: In order of their start.
        captions: All that the host received, interims included, in order of arrival.
        unreadable_captions: Packets that should have been captions and weren't.
        presences: In order of joining.
        proposed: Whether somebody asked the agent to propose a calendar event.
        answered: The popups that this led to.
    """

    meeting_id: str
    started_ms: int
    said: tuple[Said, ...]
    captions: tuple[HeardCaption, ...]
    unreadable_captions: int
    presences: tuple[Presence, ...]
    proposed: bool = False
    answered: tuple[Answered, ...] = ()

    @property
    def opened_ms(self) -> int:
        """When the first person had joined."""
        return min(presence.joined_ms for presence in self.presences)

    @property
    def emptied_ms(self) -> int:
        """When the last person had left."""
        return max(presence.left_ms for presence in self.presences)


class Meeting:
    """One meeting that runs once: `result = await Meeting(plan, engine, meeting_id).run()`.

    Args:
        on_start: Called once with Unix milliseconds when all are there and the play begins.
        on_caption: Called with every caption that the host hears.
        propose: Have the host ask the agent for a calendar event, which the next person approves.
    """

    def __init__(
        self,
        plan: Plan,
        issuer: TokenIssuer,
        meeting_id: str,
        *,
        agent: AgentRequest | None = AGENT,
        on_start: Callable[[int], None] = lambda _: None,
        on_caption: OnCaption | None = None,
        propose: bool = False,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._plan = plan
        self._linger_seconds = linger_seconds
        self._issuer = issuer
        self._meeting_id = meeting_id
        self._agent = agent
        self._on_start = on_start
        self._on_caption = on_caption
        self._approver = plan.parts[1] if propose else None
        self._answered: list[Answered] = []
        self._assembled = asyncio.Barrier(sum(part.joins_seconds == 0 for part in plan.parts))
        self._started = asyncio.Event()
        self._captioned = asyncio.Event()
        self._adjourned = asyncio.Event()
        self._started_at = 0.0
        self._started_ms = 0
        self._said: list[Said] = []
        self._presences: list[Presence] = []
        self._captions: list[HeardCaption] = []
        self._unreadable_captions = 0

    async def run(self) -> MeetingResult:
        """Hold the meeting, and return when the last person has left.

        Raises:
            ExceptionGroup: somebody could not join, was not heard or could not speak; all have left then.
        """
        async with asyncio.TaskGroup() as people:
            for part in self._plan.parts:
                people.create_task(self._play(part), name=part.member.identity)
        return MeetingResult(
            meeting_id=self._meeting_id,
            started_ms=self._started_ms,
            said=tuple(sorted(self._said, key=lambda said: said.started_ms)),
            captions=tuple(self._captions),
            unreadable_captions=self._unreadable_captions,
            presences=tuple(sorted(self._presences, key=lambda presence: presence.joined_ms)),
            proposed=self._approver is not None,
            answered=tuple(self._answered),
        )

    async def _play(self, part: Part) -> None:
        """One person, from joining to leaving."""
        host = part is self._plan.parts[0]
        if part.joins_seconds > 0:
            await self._started.wait()
            await self._until(part.joins_seconds)
        participant = SimulatedParticipant(
            self._issuer,
            self._meeting_id,
            TokenRequest(
                user_id=part.member.identity,
                user_name=part.member.name,
                role="host" if host else "participant",
                meeting_name=self._plan.name,
                agent=self._agent,
            ),
            on_caption=self._hear if host else None,
        )
        async with participant:
            if part is self._approver:
                self._answered = ApprovalScreen(participant.room, part.member.name).answered
            await participant.wait_until_heard()
            if part.joins_seconds == 0:
                await self._assemble()
            if host and self._approver is not None:
                await ask_agent(participant.room, self._approver.member.name)
            await self._speak(part, participant)
            if host:
                await self._adjourn()
            elif part.leaves_seconds is not None:
                await self._until(part.leaves_seconds)
            else:
                await self._adjourned.wait()
        left_ms = time.time_ns() // 1_000_000
        self._presences.append(
            Presence(part.member.identity, part.member.name, joined_ms=participant.joined_ms, left_ms=left_ms)
        )
        if host:
            self._unreadable_captions = participant.unreadable_captions

    async def _assemble(self) -> None:
        """Begin when all who are there from the start are heard."""
        if await self._assembled.wait() == 0:
            self._started_at = asyncio.get_running_loop().time()
            self._started_ms = time.time_ns() // 1_000_000
            self._on_start(self._started_ms)
            self._started.set()
        await self._started.wait()

    async def _speak(self, part: Part, participant: SimulatedParticipant) -> None:
        for utterance in part.utterances:
            await self._until(utterance.starts_seconds)
            spoken = await participant.say(load_recording(utterance.line.wav))
            self._said.append(
                Said(
                    identity=part.member.identity,
                    name=part.member.name,
                    text=utterance.line.text,
                    started_ms=spoken.started_ms,
                    ended_ms=spoken.ended_ms,
                )
            )
        self._note_if_captioned()

    async def _adjourn(self) -> None:
        """End the meeting when everything that was said has been captioned, or after a while without."""
        await self._until(self._plan.ends_seconds)
        with contextlib.suppress(TimeoutError):  # what is missing will be measured
            async with asyncio.timeout(self._linger_seconds):
                await self._captioned.wait()
        self._adjourned.set()

    def _hear(self, heard: HeardCaption) -> None:
        self._captions.append(heard)
        self._note_if_captioned()
        if self._on_caption is not None:
            self._on_caption(heard)

    def _note_if_captioned(self) -> None:
        """Each person's captions come in order, so the one that covers their last words is the last."""
        if len(self._said) < sum(len(part.utterances) for part in self._plan.parts):
            return
        said_until = {said.identity: said.ended_ms for said in self._said}
        captioned_until = {
            heard.caption.speaker.identity: heard.caption.ended_ms or 0
            for heard in self._captions
            if heard.caption.final
        }
        if all(captioned_until.get(identity, 0) >= end - _SAME_END_MS for identity, end in said_until.items()):
            self._captioned.set()

    async def _until(self, cue_seconds: float) -> None:
        await asyncio.sleep(max(0.0, self._started_at + cue_seconds - asyncio.get_running_loop().time()))
