"""A peer: FastAPI with livekit-api, as LiveKit's own guides have it. PORT, KEY, API_KEY, API_SECRET, LIVEKIT_URL, ENSURE in."""

from __future__ import annotations

import datetime as dt
import hmac
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from livekit import api
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import CreateRoomRequest, RoomConfiguration
from pydantic import BaseModel, Field

API_KEY, API_SECRET, LIVEKIT_URL = os.environ["API_KEY"], os.environ["API_SECRET"], os.environ["LIVEKIT_URL"]
EXPECTED = f"Bearer {os.environ['KEY']}"
ENSURE = os.environ["ENSURE"] == "1"
TTL = dt.timedelta(minutes=10)


class Asked(BaseModel):
    """The body."""

    userId: str = Field(min_length=1, max_length=256)  # noqa: N815 - the wire's name
    userName: str = Field(min_length=1, max_length=256)  # noqa: N815 - the wire's name


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """One client of LiveKit's for the process."""
    async with api.LiveKitAPI(LIVEKIT_URL, API_KEY, API_SECRET) as livekit:
        app.state.livekit = livekit
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/meetings/{room}/tokens", status_code=201)
async def create_token(room: str, asked: Asked, authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
    """Make the room, and a token for it."""
    if not hmac.compare_digest(authorization, EXPECTED):
        raise HTTPException(401)
    metadata = json.dumps({"v": 1, "meetingData": {"id": room, "name": room}, "agentData": None})
    agents = [RoomAgentDispatch(agent_name="meetai")]
    if ENSURE:
        await app.state.livekit.room.create_room(CreateRoomRequest(name=room, metadata=metadata, agents=agents))
    token = (
        api.AccessToken(API_KEY, API_SECRET)
        .with_identity(asked.userId)
        .with_name(asked.userName)
        .with_ttl(TTL)
        .with_grants(api.VideoGrants(room_join=True, room=room))
        .with_room_config(RoomConfiguration(metadata=metadata, agents=agents))
    )
    return {"serverUrl": LIVEKIT_URL, "participantToken": token.to_jwt(), "roomName": room}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
