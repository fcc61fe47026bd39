"""LiveKit's server API: a pool of connections, a time limit and a metric for every call, and an agent's dispatches.

Owns what every service that calls it does alike. Must not decide what a room should be like: services add the calls that
they alone need, by `call`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
import structlog
from google.protobuf.message import DecodeError
from livekit.api import LiveKitAPI, ServerError
from livekit.api.twirp_client import ServerErrorCode
from livekit.protocol.agent_dispatch import AgentDispatch, CreateAgentDispatchRequest
from livekit.protocol.room import UpdateRoomMetadataRequest
from msgspec import Struct
from prometheus_client import CollectorRegistry, Histogram

from meetai_servicekit.dispatches import Dispatch
from meetai_servicekit.secret import Secret

BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)

_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_FOUND: ServerErrorCode.NOT_FOUND,
    HTTPStatus.SERVICE_UNAVAILABLE: ServerErrorCode.UNAVAILABLE,
}
"""What LiveKit says beside a status that callers may give a meaning; it refuses a key in plain text, without any."""

T = TypeVar("T")

log = structlog.get_logger()


class Refusals(Struct, frozen=True):
    """A service's own errors for what a call can come to.

    Attributes:
        away: No answer of LiveKit's (what a proxy says in its place is none), or not in time, or refused for a reason that no other names.
        by_status: HTTP statuses that mean something of their own; 404 has to be among them, and beside it 401 and 503 may be.
    """

    away: type[Exception]
    by_status: Mapping[int, type[Exception]]


class KeyPair(Struct, frozen=True):
    """A key that LiveKit knows, and its secret."""

    api_key: str
    api_secret: Secret


class KeyPairs:
    """One or two pairs, so that LiveKit's can be changed without a gap. The first is in use until it is left."""

    def __init__(self, *pairs: KeyPair) -> None:
        self.pairs = pairs
        self.current = pairs[0]

    def leave(self, refused: KeyPair) -> bool:
        """LiveKit doesn't take this one any more; whether there is another to use."""
        if self.current is refused and len(self.pairs) > 1:
            self.current = next(pair for pair in self.pairs if pair is not refused)
            log.warning("livekit_key_left", api_key=refused.api_key)
        return self.current is not refused


class LiveKitServer:
    """One LiveKit server, over a pool of connections that `connected` opens and closes. Every call raises a refusal."""

    def __init__(
        self,
        *,
        url: str,
        api_key: str,
        api_secret: str,
        registry: CollectorRegistry,
        refusals: Refusals,
        call_timeout_seconds: float,
        next_key_pair: KeyPair | None = None,
    ) -> None:
        self._url = url
        self.keys = KeyPairs(KeyPair(api_key, Secret(api_secret)), *([next_key_pair] if next_key_pair else []))
        self._refusals = refusals
        self._call_timeout_seconds = call_timeout_seconds
        self._connected: dict[str, LiveKitAPI] = {}
        self._call_seconds = Histogram(
            "meetai_livekit_call_seconds",
            "Time of one call to LiveKit's server API.",
            ("call", "outcome"),
            registry=registry,
            buckets=BUCKETS_SECONDS,
        )

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[None]:
        """Calls can be made within the block. Doesn't wait for the server."""
        timeout = aiohttp.ClientTimeout(total=self._call_timeout_seconds)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=_refuse_a_page) as session:
            for pair in self.keys.pairs:
                # failover is for LiveKit Cloud's regions; it would try again for longer than our callers wait
                self._connected[pair.api_key] = LiveKitAPI(
                    self._url, pair.api_key, pair.api_secret.reveal(), session=session, failover=False
                )
            try:
                yield
            finally:
                self._connected.clear()

    async def set_metadata(self, room: str, metadata: str) -> None:
        """Change a live room's metadata."""
        request = UpdateRoomMetadataRequest(room=room, metadata=metadata)
        await self.call("update_room_metadata", self.api.room.update_room_metadata(request))

    async def list_dispatches(self, room: str, agent_name: str) -> list[Dispatch]:
        """All dispatches of this agent to a live room, also those that never came to anything."""
        answer = await self.call("list_dispatch", self.api.agent_dispatch.list_dispatch(room))
        return [_dispatch(each) for each in answer if each.agent_name == agent_name]

    async def dispatch(self, room: str, agent_name: str) -> Dispatch:
        """Ask for an agent."""
        request = CreateAgentDispatchRequest(room=room, agent_name=agent_name)
        return _dispatch(await self.call("create_dispatch", self.api.agent_dispatch.create_dispatch(request)))

    async def withdraw(self, room: str, dispatch: Dispatch) -> None:
        """Take a dispatch back; its agent leaves. No error if it is gone already."""
        with suppress(self._refusals.by_status[HTTPStatus.NOT_FOUND]):
            await self.call("delete_dispatch", self.api.agent_dispatch.delete_dispatch(dispatch.id, room))

    @property
    def api(self) -> LiveKitAPI:
        """The SDK's client, with the key pair in use."""
        if not self._connected:
            raise RuntimeError("LiveKit is called outside `connected`")
        return self._connected[self.keys.current.api_key]

    async def with_either_key(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make some calls, and the same once more where LiveKit refuses the key pair in use and there is another.

        Refusals need an error of their own for status 401.
        """
        used = self.keys.current
        try:
            return await attempt()
        except self._refusals.by_status[HTTPStatus.UNAUTHORIZED]:
            if not self.keys.leave(used):
                raise
        return await attempt()

    async def call(self, name: str, call: Awaitable[T]) -> T:
        """Await a call of the SDK's, within the time limit; `name` is its metric's label."""
        started = time.perf_counter()
        outcome = "cancelled"  # unless something else is known below: the caller's own time was up
        try:
            async with asyncio.timeout(self._call_timeout_seconds):
                answer = await call
            outcome = "ok"
        except ServerError as error:
            outcome = str(error.status)
            log.warning("livekit_call_refused", call=name, code=error.code, status=error.status)
            refusal = (
                self._refusals.by_status.get(error.status, self._refusals.away)
                if _is_own(error)
                else self._refusals.away
            )
            raise refusal(f"LiveKit answered {error.status} to {name}") from error
        except (aiohttp.ClientError, TimeoutError, DecodeError, AttributeError) as error:
            # The last two: an answer that isn't LiveKit's. It isn't protobuf; its JSON is no object, which the SDK takes for granted.
            outcome = "unreachable"
            log.warning("livekit_call_failed", call=name, error=type(error).__name__)
            raise self._refusals.away(f"LiveKit didn't answer {name}") from error
        finally:
            self._call_seconds.labels(name, outcome).observe(time.perf_counter() - started)
        return answer


def instant(unix_ms: int) -> datetime:
    """LiveKit's `…_ms` fields as a time."""
    return datetime.fromtimestamp(unix_ms / 1e3, tz=UTC)


async def _refuse_a_page(answer: aiohttp.ClientResponse) -> None:
    """A proxy's page, even an empty one: as protobuf, no bytes at all are a list without rooms."""
    if answer.status == HTTPStatus.OK and answer.content_type != "application/protobuf":
        raise aiohttp.ContentTypeError(answer.request_info, answer.history, message="not LiveKit's")


def _is_own(error: ServerError) -> bool:
    """Whether LiveKit itself means what the status says, by the code beside it. A proxy's 404 isn't about a room, nor is one about the URL."""
    return error.status == HTTPStatus.UNAUTHORIZED or error.code == _CODES.get(error.status)


def _dispatch(found: AgentDispatch) -> Dispatch:
    created_at = datetime.fromtimestamp(found.state.created_at / 1e9, tz=UTC)
    return Dispatch(created_at=created_at, id=found.id)
