"""Bad input, at the running services: a clear answer, nothing lost, everything else going on."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest
from livekit import api
from redis.asyncio import Redis
from tests.e2e.conftest import outcome_of
from tests.waiting import eventually
from uuid_utils.compat import uuid7

from meetai_contracts.api import TokenRequest, TokenResponse
from meetai_contracts.transcript import BATCH_FIELD, Speaker, TranscriptBatch, TranscriptLine, encode_batch, stream_key
from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.engine import Engine
from meetai_local.demo.participant import SimulatedParticipant
from meetai_local.speech import load_recording, load_script
from meetai_local.stack import Stack

AGENT = api.ParticipantInfo.Kind.AGENT


async def test_token_request_names_the_field_when_one_is_wrong(stack: Stack) -> None:
    """400 problem+json, `errors` naming the field."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {stack.env['SERVICE_KEY']}"}) as http:
        response = await http.post(
            f"{stack.env['TOKEN_URL']}/v1/meetings/m/tokens", json={"userId": "ada", "userName": "A\u202eda"}
        )
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == ["userName"]


async def test_forged_webhook_is_refused_and_leaves_no_row(stack: Stack) -> None:
    """401 for a signature that isn't LiveKit's; the inbox doesn't hear of it."""
    event_id = f"EV_{uuid.uuid4().hex}"
    body = f'{{"event":"room_finished","id":"{event_id}","createdAt":"1700000000"}}'.encode()
    forged = api.AccessToken(stack.env["LIVEKIT_API_KEY"], "not-the-secret-" * 4).with_sha256("AAAA").to_jwt()
    async with httpx.AsyncClient() as http:
        response = await http.post(
            f"{stack.env['WEBHOOK_BRIDGE_URL']}/webhooks/livekit",
            content=body,
            headers={"Authorization": forged, "Content-Type": "application/webhook+json"},
        )
    assert response.status_code == 401
    async with await psycopg.AsyncConnection.connect(stack.env["DATABASE_URL"]) as database:
        found = await database.execute("SELECT count(*) FROM webhook_bridge.inbox WHERE id = %s", [event_id])
        assert await found.fetchone() == (0,)


async def test_malformed_stream_entry_is_set_aside_and_the_rest_flows_on(stack: Stack, engine: Engine) -> None:
    """The entry is a dead letter; the batch after it is stored, and integrity says so."""
    meeting_id = f"malformed-{uuid.uuid4().hex[:8]}"
    producer = uuid7()
    line = TranscriptLine(
        producer_id=producer,
        seq=1,
        speaker=Speaker("ada", "Ada", "human"),
        text="Still here.",
        started_ms=1,
        ended_ms=2,
    )
    batches = [
        TranscriptBatch(1, "open", meeting_id, "RM_malformed", producer, 0, 0, 0),
        TranscriptBatch(1, "lines", meeting_id, "RM_malformed", producer, 1, 1, 1, (line,)),
        TranscriptBatch(1, "close", meeting_id, "RM_malformed", producer, 0, 0, 1),
    ]
    async with Redis.from_url(stack.env["REDIS_URL"], decode_responses=True) as redis:
        entry_id = await redis.xadd(stream_key(0), {BATCH_FIELD: b"\xc1 not msgpack"})
        for batch in batches:
            await redis.xadd(stream_key(0), {BATCH_FIELD: encode_batch(batch)})

    async def complete() -> bool:
        return (await engine.integrity(meeting_id)).verdict == "complete"

    await eventually(complete, seconds=30)
    async with await psycopg.AsyncConnection.connect(stack.env["DATABASE_URL"]) as database:
        query = "SELECT payload FROM transcript_ingest.dead_letters WHERE entry_id = %s"
        assert await (await database.execute(query, [str(entry_id)])).fetchall() == [(b"\xc1 not msgpack",)]
    assert [stored.text for stored in await engine.transcript(meeting_id)] == ["Still here."]


@pytest.mark.parametrize("metadata", ["{not json", '{"v":1,"meetingData":{"id":"x"}}'])
async def test_agent_says_so_and_still_transcribes_when_metadata_does_not_parse(
    stack: Stack, engine: Engine, metadata: str
) -> None:
    """The agent's attribute tells what is wrong with the metadata; what is said is stored all the same."""
    meeting_id = f"metadata-{uuid.uuid4().hex[:8]}"
    heard: list[HeardCaption] = []
    captioned = asyncio.Event()

    def on_caption(caption: HeardCaption) -> None:
        heard.append(caption)
        captioned.set()

    async with api.LiveKitAPI(
        stack.env["LIVEKIT_URL"], stack.env["LIVEKIT_API_KEY"], stack.env["LIVEKIT_API_SECRET"]
    ) as livekit:
        await livekit.room.create_room(
            api.CreateRoomRequest(
                name=meeting_id, metadata=metadata, agents=[api.RoomAgentDispatch(agent_name="meetai")]
            )
        )
        async with (
            SimulatedParticipant(
                _OwnTokens(stack), meeting_id, TokenRequest(user_id="ada", user_name="Ada"), on_caption=on_caption
            ) as ada,
            asyncio.timeout(60),
        ):
            await ada.wait_until_heard()
            people = await livekit.room.list_participants(api.ListParticipantsRequest(room=meeting_id))
            verdicts = [
                person.attributes.get("meetai.metadata") for person in people.participants if person.kind == AGENT
            ]
            await ada.say(load_recording(load_script().lines[0].wav))
            await captioned.wait()
    assert len(verdicts) == 1
    assert str(verdicts[0]).startswith("invalid: ")
    outcome = await outcome_of(stack, engine, meeting_id)
    shown = {caption.caption.id for caption in heard if caption.caption.final}
    assert shown <= {line.id for line in outcome.lines}


class _OwnTokens:
    """Tokens made past the token service, which would mend the room's metadata."""

    def __init__(self, stack: Stack) -> None:
        self._env = stack.env

    async def issue_token(self, meeting_id: str, request: TokenRequest) -> TokenResponse:
        token = (
            api.AccessToken(self._env["LIVEKIT_API_KEY"], self._env["LIVEKIT_API_SECRET"])
            .with_identity(request.user_id)
            .with_name(request.user_name)
            .with_grants(api.VideoGrants(room_join=True, room=meeting_id))
        )
        return TokenResponse(
            server_url=self._env["LIVEKIT_URL"],
            participant_token=token.to_jwt(),
            room_name=meeting_id,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
