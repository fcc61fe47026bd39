"""Two processes at one meeting, and LiveKit that freezes or goes: one agent, an answer in time, and a token where one can be given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from livekit.api import LiveKitAPI
from livekit.protocol.room import CreateRoomRequest
from tests.integration.token.token_process import KEYS, TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer
from tests.servers.maintenance_page import maintenance_page

CALLERS = 24
PATIENCE_SECONDS = 20
"""No caller waits so long for an answer, even here where several share two cores; the budget itself is a unit test's."""


@pytest.fixture(scope="module")
def services(livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TokenProcess, ...]]:
    folder = tmp_path_factory.mktemp
    with token_process(folder("one"), livekit.url) as one, token_process(folder("two"), livekit.url) as two:
        yield one, two


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {KEYS['host'][0]}"}
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


async def ask(http: httpx.AsyncClient, service: TokenProcess, meeting_id: str, **more: object) -> int:
    url = f"{service.url}/v1/meetings/{quote(meeting_id, safe='')}/tokens"
    answer = await http.post(url, json={"userId": "u", "userName": "Ann", **more})
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0
    return answer.status_code


async def let_in(http: httpx.AsyncClient, service: TokenProcess, meeting_id: str, **more: object) -> int:
    """Asks again where a busy machine's LiveKit has taken too long."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if (status := await ask(http, service, meeting_id, **more)) != 503:
                return status


@pytest.mark.parametrize("live", [False, True], ids=["new room", "live room without its agent"])
async def test_one_agent_is_dispatched_when_two_processes_race(
    services: tuple[TokenProcess, ...], http: httpx.AsyncClient, livekit_api: LiveKitAPI, meeting_id: str, live: bool
) -> None:
    """Callers with and without a wish, at both processes at once; each is let in, and one dispatch is there in the end."""
    if live:
        await livekit_api.room.create_room(CreateRoomRequest(name=meeting_id))
    agent = {"name": "Clara", "instructions": "Be brief."}
    wishes: list[dict[str, object]] = [{}, {"agent": agent}, {"agent": agent, "meetingName": "Standup"}]
    asked = [let_in(http, services[n % 2], meeting_id, **wishes[n % 3]) for n in range(CALLERS)]
    assert await asyncio.gather(*asked) == [201] * CALLERS
    dispatches = await livekit_api.agent_dispatch.list_dispatch(meeting_id)
    named = [
        dispatch.agent_name for dispatch in dispatches if dispatch.agent_name
    ]  # LiveKit adds one of its own, without a name
    assert named == ["meetai"]


async def test_answer_comes_in_time_when_livekit_freezes(
    services: tuple[TokenProcess, ...], http: httpx.AsyncClient, livekit: EmbeddedServer, meeting_id: str
) -> None:
    """A meeting that was right a while ago still lets people in, another gets 503; and all is well when it thaws."""
    service = services[0]
    assert await ask(http, service, meeting_id) == 201
    livekit.pause()
    try:
        for asked, status in ((meeting_id, 201), (f"{meeting_id} new", 503)):
            answers = await asyncio.gather(*(ask(http, service, asked) for _ in range(3)))
            assert answers == [status] * 3
    finally:
        livekit.resume()
    assert await ask(http, service, f"{meeting_id} new") == 201


async def test_nobody_is_let_in_when_a_proxy_answers_for_livekit(http: httpx.AsyncClient, tmp_path: Path) -> None:
    """Its page has status 200 and isn't LiveKit's: 503, as when nobody answers."""
    async with maintenance_page() as url:
        with token_process(tmp_path, url) as service:
            assert await ask(http, service, "standup") == 503
