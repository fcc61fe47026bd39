"""The snippet that the README shows, as it stands there, in a real browser with LiveKit's own client."""

from __future__ import annotations

import json
import re
from pathlib import Path

from livekit.api import LiveKitAPI, TwirpError
from livekit.protocol.models import TrackSource
from livekit.protocol.room import ListParticipantsRequest
from tests.integration.token.token_process import KEYS, token_process
from tests.servers.chromium import FAKE_MICROPHONE, browser
from tests.servers.embedded import EmbeddedServer
from tests.servers.node import FOLDER
from tests.servers.page import PageServer
from tests.waiting import eventually

README = Path(__file__).parents[3] / "README.md"
CLIENT = {"/livekit-client.mjs": FOLDER / "node_modules/livekit-client/dist/livekit-client.esm.mjs"}
SECONDS = 60.0
PAGE = """<!doctype html><meta charset="utf-8">
<script type="importmap">{"imports": {"livekit-client": "/livekit-client.mjs"}}</script>
<script>const TOKEN_URL = %s, credential = %s</script>
<script type="module">
%s</script>"""


def snippet() -> str:
    """The README's only piece of JavaScript."""
    (found,) = re.findall(r"```js\n(.*?)```", README.read_text(), re.DOTALL)
    return str(found)


def test_snippet_has_five_lines_when_people_read_it() -> None:
    """So short that nobody needs more of ours in a page (issue 6)."""
    assert len(snippet().splitlines()) == 5


async def test_readmes_snippet_joins_the_meeting_when_it_runs_in_a_browser(
    livekit: EmbeddedServer, livekit_api: LiveKitAPI, tmp_path: Path, node: str
) -> None:
    """From another origin, which the service is told of; the meeting then has Ada, and her microphone."""
    assert node  # has installed LiveKit's client
    page = PageServer(CLIENT, lambda: PAGE % (json.dumps(service.url), json.dumps(KEYS["participant"][0]), snippet()))

    async def heard() -> bool:
        try:
            found = await livekit_api.room.list_participants(ListParticipantsRequest(room="standup"))
        except TwirpError:  # no such room yet
            return False
        sources = {each.name: [track.source for track in each.tracks] for each in found.participants}
        return sources == {"Ada": [TrackSource.MICROPHONE]}

    with (
        page.running(),
        token_process(tmp_path, livekit.url, {"CORS_ORIGINS": page.origin}) as service,
        browser(f"{page.origin}/", tmp_path / "profile", *FAKE_MICROPHONE),
    ):
        await eventually(heard, seconds=SECONDS)
