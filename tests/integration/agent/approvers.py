"""People with an application that knows approvals, in a real room; and the room as the agent sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from livekit import api, rtc
from tests.integration.token.livekit_server import API_KEY, API_SECRET

from meetai_contracts.approval import APPROVAL_METHOD

Answer = Callable[[dict[str, Any]], dict[str, Any] | str]
"""What an application makes of a request: a reply's fields, or whatever it sends instead of one."""


def approve(_request: dict[str, Any]) -> dict[str, Any]:
    """Press yes."""
    return {"decision": "approved"}


class Approver:
    """One person's application: keeps the popups it was shown, and answers them when told to.

    Attributes:
        popups: The requests, in order.
        over: How many of them were answered, or given up by the SDK because it was too late.
        answering: Set by the test: how each popup is answered. None leaves them open.
        keep: Told of each popup as it is shown.
    """

    def __init__(self, room: rtc.Room, answering: Answer | None) -> None:
        self.room = room
        self._source = rtc.AudioSource(16_000, 1)
        self.popups: list[dict[str, Any]] = []
        self.over = 0
        self.keep: Callable[[dict[str, Any]], None] = self.popups.append
        self.answering = answering
        self.may_answer = asyncio.Event()
        if answering is not None:
            self.may_answer.set()

    async def open_microphone(self) -> None:
        """As people have: a client that publishes nothing is announced to the others only after 2.9 s."""
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(microphone, options)

    async def leave(self) -> None:
        """Close the page."""
        self.may_answer.set()
        await self.room.disconnect()
        await self._source.aclose()

    def register(self) -> None:
        """Know the popup."""
        self.room.local_participant.register_rpc_method(APPROVAL_METHOD, self._show)

    def answer(self, answering: Answer) -> None:
        """Answer what is open, and what comes."""
        self.answering = answering
        self.may_answer.set()

    async def _show(self, call: rtc.RpcInvocationData) -> str:
        request = json.loads(call.payload)
        self.keep(request)
        try:
            await self.may_answer.wait()
        finally:
            self.over += 1
        reply = self.answering(request) if self.answering else ""
        return reply if isinstance(reply, str) else json.dumps({"v": 1, "proposalId": request["proposalId"]} | reply)


def token(meeting_id: str, identity: str, name: str, kind: Literal["standard", "agent"] = "standard") -> str:
    """A token for one person, or the agent."""
    grants = api.VideoGrants(room_join=True, room=meeting_id, agent=kind == "agent")
    made = api.AccessToken(API_KEY, API_SECRET).with_identity(identity).with_name(name)
    return made.with_kind(kind).with_grants(grants).to_jwt()


async def join(
    url: str, meeting_id: str, identity: str, *, name: str = "", answering: Answer | None = None, register: bool = True
) -> Approver:
    """Come into a meeting with an application that knows the popup, before anybody can ask."""
    approver = Approver(rtc.Room(), answering)
    await approver.room.connect(url, token(meeting_id, identity, name), rtc.RoomOptions(auto_subscribe=False))
    if register:
        approver.register()
    await approver.open_microphone()
    return approver


@asynccontextmanager
async def agent_room(url: str, meeting_id: str, *, identity: str = "agent") -> AsyncIterator[rtc.Room]:
    """The meeting, joined as the agent does."""
    room = rtc.Room()
    await room.connect(url, token(meeting_id, identity, "", "agent"))
    try:
        yield room
    finally:
        await room.disconnect()
