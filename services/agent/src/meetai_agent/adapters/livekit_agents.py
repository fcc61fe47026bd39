"""The other agents in a room, asked by LiveKit RPC.

Owns who counts as one of ours and how long an answer is waited for. LiveKit itself lets two agents into a room, and one with
a fixed identity would be put out by its successor (FACTS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from livekit import rtc

from meetai_agent.domain.fence import Stand
from meetai_contracts.codec import ContractError, encode_json
from meetai_contracts.room import METADATA_ATTRIBUTE, SERVING_METHOD, AgentStand, parse_agent_stand

ASK_SECONDS: Final = 4.5
"""A ghost costs this, in which the SDK keeps the audio (30 s of it). A living agent acknowledges in 4 ms on one machine."""
ROUND_TRIP_SECONDS: Final = 1.0
"""Then the question is put again: a data channel that is just being made loses what is sent. The SDK's own default is 7 s."""
REFUSED_SECONDS: Final = 0.1
"""Between questions to one that is so new that it doesn't answer yet, or that hasn't been told of us: LiveKit shows a newcomer
who is there at once, and tells those who are there of the newcomer when its connection stands."""

log = structlog.get_logger()


class RoomAgents:
    """`ports.OtherAgents` over a connected room."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    def start(
        self, *, answer: Callable[[Stand], Stand], came: Callable[[str], None], returned: Callable[[], None]
    ) -> None:
        """Answer, and listen to who comes, for as long as the room is there."""

        async def reply(call: rtc.RpcInvocationData) -> str:
            if call.caller_identity not in self.present():  # only LiveKit makes agents; anyone in the room may call
                raise rtc.RpcError(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD, "for known agents alone")
            try:
                theirs = parse_agent_stand(call.payload)
            except ContractError as error:
                raise rtc.RpcError(rtc.RpcError.ErrorCode.APPLICATION_ERROR, f"stand: {error}") from None
            return _written(answer(Stand(call.caller_identity, theirs.since_ms, theirs.state)))

        def connected(participant: rtc.RemoteParticipant) -> None:
            if _is_ours(participant):
                came(participant.identity)

        self._room.local_participant.register_rpc_method(SERVING_METHOD, reply)
        self._room.on("participant_connected", connected)
        self._room.on("reconnected", returned)

    def present(self) -> frozenset[str]:
        """Agents by kind that carry our attribute: others neither know the question nor transcribe for us."""
        return frozenset(each.identity for each in self._room.remote_participants.values() if _is_ours(each))

    async def ask(self, identity: str, mine: Stand) -> Stand | None:
        """Ask again and again, for 4.5 s at most."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                while identity in self.present():
                    theirs = await self._ask_once(identity, mine)
                    if theirs is not None:
                        return theirs
        except TimeoutError:
            log.warning("agent_not_answering", other=identity)
        return None

    async def _ask_once(self, identity: str, mine: Stand) -> Stand | None:
        try:
            payload = await self._room.local_participant.perform_rpc(
                destination_identity=identity,
                method=SERVING_METHOD,
                payload=_written(mine),
                response_timeout=ROUND_TRIP_SECONDS,
                max_round_trip_latency=ROUND_TRIP_SECONDS,
            )
            theirs = parse_agent_stand(payload)
        except (rtc.RpcError, ContractError):
            await asyncio.sleep(REFUSED_SECONDS)
            return None
        return Stand(identity, theirs.since_ms, theirs.state)


def _is_ours(participant: rtc.RemoteParticipant) -> bool:
    return (
        participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT and METADATA_ATTRIBUTE in participant.attributes
    )


def _written(stand: Stand) -> str:
    return encode_json(AgentStand(v=1, state=stand.state, since_ms=stand.since_ms)).decode()
