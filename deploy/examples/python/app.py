"""An application's backend that lets its people into meetings and shows them what was said. Run by `litestar --app app:app run`.

The engine's service key stays here: browsers get a LiveKit token that opens one meeting.
"""

import os
from typing import Annotated
from urllib.parse import quote

import httpx
from litestar import Litestar, get, post
from litestar.datastructures import State
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.params import HeaderParameter

Session = Annotated[str, HeaderParameter(name="X-Session")]

GUESTS = {"standup": {"ada": "host", "ben": "participant"}}
"""Who may be where. Yours: a table."""


def signed_in(token: str) -> tuple[str, str]:
    """Who it is: id and name. Yours: your sessions."""
    user_id, _, name = token.partition(":")
    if not name:
        raise NotAuthorizedException("sign in first")
    return user_id, name


def role_of(user_id: str, meeting_id: str) -> str:
    """What they may be in this meeting."""
    role = GUESTS.get(meeting_id, {}).get(user_id)
    if role is None:
        raise PermissionDeniedException("not your meeting")
    return role


@post("/meetings/{meeting_id:str}/join")
async def join(state: State, meeting_id: str, session: Session) -> dict[str, str]:
    """What `room.connect(serverUrl, participantToken)` needs."""
    user_id, name = signed_in(session)
    asked = {
        "userId": user_id,
        "userName": name,
        "role": role_of(user_id, meeting_id),
        "meetingName": "Stand-up",
        "agent": {"name": "Minutes", "instructions": "Keep the minutes.", "language": "en"},
    }
    url = f"{os.environ['TOKEN_URL']}/v1/meetings/{quote(meeting_id, safe='')}/tokens"
    answer = await state.engine.post(url, json=asked)
    answer.raise_for_status()
    joining: dict[str, str] = answer.json()
    return joining


@get("/meetings/{meeting_id:str}/lines")
async def lines(state: State, meeting_id: str, session: Session) -> list[str]:
    """The whole transcript, `name: text`."""
    user_id, _ = signed_in(session)
    role_of(user_id, meeting_id)
    url = f"{os.environ['TRANSCRIPT_INGEST_URL']}/v1/meetings/{quote(meeting_id, safe='')}/transcript"
    said: list[str] = []
    cursor = None
    while True:
        page = (await state.engine.get(url, params={"cursor": cursor} if cursor else None)).raise_for_status().json()
        said += [f"{line['speaker']['name']}: {line['text']}" for line in page["lines"]]
        cursor = page["next"]
        if cursor is None:
            return said


async def open_engine(app: Litestar) -> None:
    """One client for all requests, with the service key and a time-out."""
    key = os.environ["MEETAI_SERVICE_KEY"]
    app.state.engine = httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=10)


async def close_engine(app: Litestar) -> None:
    """Give its connections back."""
    await app.state.engine.aclose()


app = Litestar([join, lines], on_startup=[open_engine], on_shutdown=[close_engine])
