"""One simulated participant: asks for a token, joins by WebRTC, speaks in real time and hears captions.

Owns one LiveKit connection. Must not know the play: whoever holds the participant says what to say and when to leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Protocol, Self

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from meetai_contracts.api import TokenRequest, TokenResponse
from meetai_local.demo.captions import CaptionLog, HeardCaption, OnCaption
from meetai_local.demo.engine import EngineUnavailableError
from meetai_local.demo.microphone import Microphone, Spoken
from meetai_local.speech import Recording

_TOKEN_DEADLINE_SECONDS: Final = 15.0
"""A killed token service serves again after about 2 s."""
_TOKEN_RETRY_SECONDS: Final = 0.5
_CONNECT_TIMEOUT_SECONDS: Final = 15.0
_LEAVE_TIMEOUT_SECONDS: Final = 5.0
HEARD_TIMEOUT_SECONDS: Final = 30.0
"""The agent hears a microphone 0.5 s after it appears, and up to 12 s later if its worker is still starting (FACTS)."""


class ParticipantError(Exception):
    """Somebody could not join, was not heard or could not speak. Never says more of a token than that there was one."""


class TokenIssuer(Protocol):
    """Whoever lets people in: the token service, or a test."""

    async def issue_token(self, meeting_id: str, request: TokenRequest) -> TokenResponse:
        """Let one person into a meeting; `EngineUnavailableError` if it may do later."""
        ...


class SimulatedParticipant:
    """A person in a meeting while the context is open: `async with SimulatedParticipant(...) as maya`.

    Inside, the microphone is open and sends silence. Entering asks `issuer` for a token (and raises what it raises) and
    connects; `ParticipantError` if that fails.
    """

    def __init__(
        self, issuer: TokenIssuer, meeting_id: str, request: TokenRequest, *, on_caption: OnCaption | None = None
    ) -> None:
        self.request = request
        self.joined_ms = 0
        self._issuer = issuer
        self._meeting_id = meeting_id
        self._log = CaptionLog(on_caption)
        self._microphone = Microphone()
        self._resources = AsyncExitStack()
        self._publication: rtc.LocalTrackPublication | None = None
        self.room = rtc.Room()

    async def __aenter__(self) -> Self:
        try:
            await self._join()
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.__aexit__(kind, error, trace)

    @property
    def captions(self) -> tuple[HeardCaption, ...]:
        """Every caption heard so far, interims included, in order of arrival."""
        return tuple(self._log.captions)

    @property
    def unreadable_captions(self) -> int:
        """Packets from the agent that should have been captions."""
        return self._log.unreadable

    async def wait_until_heard(self) -> None:
        """Return when someone, that is the agent, has subscribed to the microphone.

        Raises:
            ParticipantError: nobody did within 30 s.
        """
        if self._publication is None:
            raise ParticipantError(f"{self.request.user_name} is not in the meeting")
        try:
            async with asyncio.timeout(HEARD_TIMEOUT_SECONDS):
                await self._publication.wait_for_subscription()
        except TimeoutError:
            raise ParticipantError(
                f"no agent listened to {self.request.user_name} within {HEARD_TIMEOUT_SECONDS:.0f} s"
            ) from None

    async def say(self, recording: Recording) -> Spoken:
        """Say a recording, and return when its last sample has been played.

        Raises:
            ParticipantError: the audio engine has stalled.
        """
        try:
            return await self._microphone.say(recording)
        except TimeoutError:
            raise ParticipantError(f"{self.request.user_name} could not speak: the audio engine has stalled") from None

    async def _join(self) -> None:
        token = await self._token()
        self.room.on("data_received", self._receive)
        self._resources.push_async_callback(self._leave)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                await self._connect(token)
        except (rtc.ConnectError, PublishTrackError, TimeoutError) as error:
            why = type(error).__name__  # a ConnectError's text holds the token
            raise ParticipantError(f"{self.request.user_name} could not join at {token.server_url}: {why}") from None

    async def _token(self) -> TokenResponse:
        """Ask again while the token service is away, as an application's backend does."""
        deadline = time.monotonic() + _TOKEN_DEADLINE_SECONDS
        while True:
            try:
                return await self._issuer.issue_token(self._meeting_id, self.request)
            except EngineUnavailableError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_TOKEN_RETRY_SECONDS)

    async def _connect(self, token: TokenResponse) -> None:
        # Nobody here listens to audio: microphones needn't be decoded, and the only subscriber of each is the agent.
        await self.room.connect(token.server_url, token.participant_token, rtc.RoomOptions(auto_subscribe=False))
        self.joined_ms = time.time_ns() // 1_000_000
        await self._resources.enter_async_context(self._microphone)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._microphone.source)
        self._publication = await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        )

    async def _leave(self) -> None:
        with contextlib.suppress(TimeoutError):  # LiveKit notices by itself
            async with asyncio.timeout(_LEAVE_TIMEOUT_SECONDS):
                await self.room.disconnect()

    def _receive(self, packet: rtc.DataPacket) -> None:
        self._log.receive(packet, time.time_ns() // 1_000_000)
