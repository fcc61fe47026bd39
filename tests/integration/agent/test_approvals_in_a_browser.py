"""The page that deploy/docs/approvals.md shows, in a real browser with LiveKit's own client."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.integration.agent.approvers import token
from tests.integration.agent.test_approvals_in_a_room import RETRO, Room, livekit, room, unopened
from tests.servers import node
from tests.servers.chromium import browser
from tests.waiting import until

__all__ = ["livekit", "room", "unopened"]

DOCUMENT = Path(__file__).parents[3] / "deploy" / "docs" / "approvals.md"
SECONDS = 60.0
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
    """Serves the page, and tells it what its person does: `todo`, one popup after another."""

    def __init__(self, join: dict[str, str], todo: list[Any]) -> None:
        self.popups: list[dict[str, Any]] = []
        self._join = join
        self._todo = todo
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/livekit-client.js":
                    self._answer(node.FOLDER / "node_modules/livekit-client/dist/livekit-client.umd.js")
                else:
                    self._send("text/html", page.html().encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send("application/json", json.dumps(page.on_post(self.path, body)).encode())

            def log_message(self, *_: object) -> None:
                """Nothing: the token is in what is said here."""

            def _answer(self, path: Path) -> None:
                self._send("text/javascript", path.read_bytes())

            def _send(self, kind: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}/"

    def html(self) -> str:
        """With the document's own code, less its module's edges."""
        found = re.search(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        assert found is not None
        return PAGE % re.sub(r"^import .*$|^export ", "", found[1], flags=re.MULTILINE)

    def on_post(self, path: str, body: dict[str, Any]) -> Any:
        """What the page is to do next."""
        if path == "/join":
            return self._join
        self.popups.append(body)
        return self._todo[len(self.popups) - 1]


@pytest.fixture
def page(room: Room, tmp_path: Path) -> Iterator[Page]:
    """Ada's browser in the meeting: she reloads at the first popup, and moves the event at the second."""
    if node.node_program() is None:
        pytest.skip("no Node.js to install LiveKit's client with")
    later = {"start": "2026-11-09T11:00:00+01:00", "end": "2026-11-09T11:30:00+01:00"}
    event = {"title": "Retro", "timeZone": "Europe/Berlin", **later}
    todo = ["reload", {"decision": "modified", "event": event}, {"decision": "approved", "comment": "Better."}]
    page = Page({"url": room.url, "token": token(room.name, "ada", "Ada")}, todo)
    thread = threading.Thread(target=page.server.serve_forever, name="page")
    thread.start()
    try:
        with browser(page.url, tmp_path / "profile"):
            yield page
    finally:
        page.server.shutdown()
        thread.join(timeout=10)
        page.server.server_close()


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
