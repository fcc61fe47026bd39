"""The page that deploy/docs/approvals.md shows, in a real browser with LiveKit's own client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.agent.approval_room import RETRO, Room, livekit, unopened
from tests.integration.agent.approvers import token
from tests.servers import node
from tests.servers.chromium import browser
from tests.servers.page import PageServer
from tests.waiting import until

from meetai_agent.domain import proposal

__all__ = ["livekit", "unopened"]

CLIENT = {"/livekit-client.js": node.FOLDER / "node_modules/livekit-client/dist/livekit-client.umd.js"}
DOCUMENT = Path(__file__).parents[3] / "deploy" / "docs" / "approvals.md"
SECONDS = 120.0
"""Chromium on a busy machine."""
PAGE = """<!doctype html><meta charset="utf-8"><script src="/livekit-client.js"></script><script type="module">
const {Room, RpcError} = LivekitClient;
%s
const post = async (path, body) => (await fetch(path, {method: 'POST', body: JSON.stringify(body)})).json();
const room = new Room();
showApprovals(room, async (request) => {
  const todo = await post('/popup', request);
  if (todo === 'reload') { location.reload(); return new Promise(() => {}); }
  return todo;
});
const join = await post('/join', {});
await room.connect(join.url, join.token);
</script>"""


class Page:
    """Tells the page what its person does: `todo`, one popup after another."""

    def __init__(self, join: dict[str, str], todo: list[Any]) -> None:
        self.popups: list[dict[str, Any]] = []
        self._join = join
        self._todo = todo
        self.server = PageServer(CLIENT, self.html, self.on_post)

    def html(self) -> str:
        """With the document's own code, less its module's edges."""
        found = re.search(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        assert found is not None
        return PAGE % re.sub(r"^import .*$|^export ", "", found[1], flags=re.MULTILINE)

    def on_post(self, path: str, body: Any) -> Any:
        """What the page is to do next."""
        if path == "/join":
            return self._join
        self.popups.append(body)
        return self._todo[len(self.popups) - 1]


@pytest.fixture
async def room(unopened: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(proposal, "GRACE_SECONDS", SECONDS)
    unopened.popup_seconds = 2 * SECONDS
    await unopened.open()
    return unopened


@pytest.fixture
def page(room: Room, tmp_path: Path) -> Iterator[Page]:
    """Ada's browser in the meeting: she reloads at the first popup, and moves the event at the second."""
    node.needed_node()  # which installs LiveKit's client
    later = {"start": "2026-11-09T11:00:00+01:00", "end": "2026-11-09T11:30:00+01:00"}
    event = {"title": "Retro", "timeZone": "Europe/Berlin", **later}
    todo = ["reload", {"decision": "modified", "event": event}, {"decision": "approved", "comment": "Better."}]
    page = Page({"url": room.url, "token": token(room.name, "ada", "Ada")}, todo)
    with page.server.running(), browser(f"{page.server.origin}/", tmp_path / "profile"):
        yield page


async def test_the_documented_page_shows_popups_when_it_runs_in_a_browser(room: Room, page: Page) -> None:
    """After a reload the same popup again; a changed time as another one; then the yes counts."""
    await until(lambda: room.participants.stay_of("ada") is not None, SECONDS)
    async with asyncio.timeout(SECONDS):
        end = await room.propose("ada", RETRO)
    assert (end.outcome, end.modified, end.comment) == ("approved", True, "Better.")
    first, again, moved = page.popups
    assert first == again
    assert (first["kind"], first["event"]["title"]) == ("calendar_event", "Retro")
    assert moved["proposalId"] != first["proposalId"]
    assert moved["event"]["start"] == "2026-11-09T11:00:00+01:00"
