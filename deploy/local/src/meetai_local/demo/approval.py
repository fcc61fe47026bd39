"""An approval in the meeting: the host asks the agent in the chat, somebody else says yes on their screen.

Owns both sides as applications have them: a message on `lk.chat`, and the RPC method that shows the popup.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
from livekit import rtc
from msgspec import Struct

from meetai_contracts.approval import APPROVAL_METHOD, MAX_APPROVAL_BYTES, ApprovalReply, ApprovalRequest
from meetai_contracts.codec import decode_json

CHAT_TOPIC: Final = "lk.chat"
TITLE: Final = "Launch check"
COMMENT: Final = "Fine with me."


class Answered(Struct, frozen=True):
    """A popup that somebody answered with yes, Unix milliseconds."""

    request: ApprovalRequest
    name: str
    at_ms: int


class ApprovalScreen:
    """One person's application: shows every popup, and its person says yes."""

    def __init__(self, room: rtc.Room, name: str) -> None:
        self.answered: list[Answered] = []
        self._name = name
        room.local_participant.register_rpc_method(APPROVAL_METHOD, self._show)

    async def _show(self, call: rtc.RpcInvocationData) -> str:
        request = decode_json(call.payload.encode(), ApprovalRequest, max_bytes=MAX_APPROVAL_BYTES)
        self.answered.append(Answered(request, self._name, time.time_ns() // 1_000_000))
        reply = ApprovalReply(v=1, proposal_id=request.proposal_id, decision="approved", comment=COMMENT)
        return msgspec.json.encode(reply).decode()


async def ask_agent(room: rtc.Room, approver: str) -> None:
    """Write to the agent that it should propose a meeting, and who is to approve it."""
    text = f"Propose a meeting called {TITLE.lower()} tomorrow at ten, and ask {approver} to approve it."
    await room.local_participant.send_text(text, topic=CHAT_TOPIC)
