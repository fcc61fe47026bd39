"""Popups over LiveKit RPC.

Owns what the SDK's errors and times mean (FACTS, RPC).
"""

from __future__ import annotations

from typing import Final

from livekit import rtc

from meetai_agent.domain.errors import (
    AgentError,
    ApproverUnreachableError,
    PopupUnansweredError,
    PopupUnsupportedError,
    ReplyUnusableError,
)
from meetai_contracts.approval import APPROVAL_METHOD

ROUND_TRIP_SECONDS: Final = 7.0
"""The SDK takes this off the response timeout, for the other side and for itself: who is to have 120 s is given 127."""
_CODE: Final = rtc.RpcError.ErrorCode
MEANINGS: Final[dict[int, type[AgentError]]] = {
    _CODE.CONNECTION_TIMEOUT: ApproverUnreachableError,
    _CODE.RECIPIENT_DISCONNECTED: ApproverUnreachableError,
    _CODE.RECIPIENT_NOT_FOUND: ApproverUnreachableError,
    _CODE.SEND_FAILED: ApproverUnreachableError,
    _CODE.UNSUPPORTED_METHOD: PopupUnsupportedError,
    _CODE.UNSUPPORTED_SERVER: PopupUnsupportedError,
    _CODE.UNSUPPORTED_VERSION: PopupUnsupportedError,
    _CODE.RESPONSE_TIMEOUT: PopupUnansweredError,
}
"""Any other code is an answer of the application's that says nothing: it failed, or sent too much."""


class RpcPopups:
    """`ports.Popups` by the RPC method `meetai.approval`."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    async def show(self, identity: str, request: str, *, seconds: float) -> str:
        """Show it to this participant alone, and wait at most so many seconds for what comes back."""
        try:
            return await self._room.local_participant.perform_rpc(
                destination_identity=identity,
                method=APPROVAL_METHOD,
                payload=request,
                response_timeout=seconds + ROUND_TRIP_SECONDS,
            )
        except rtc.RpcError as error:
            raise MEANINGS.get(error.code, ReplyUnusableError)(f"RPC {error.code}") from error
        except Exception as error:  # the room is gone: `local_participant` raises a bare Exception then
            raise ApproverUnreachableError(type(error).__name__) from error
