"""Who may read, and what the others are told."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from tests.unit.transcript_ingest.producing import Producer
from tests.unit.transcript_ingest.serving import (
    API_KEY,
    API_SECRET,
    NEXT_API_KEY,
    NEXT_API_SECRET,
    NOW_SECONDS,
    OTHER_KEY,
    READER_KEY,
    SUMMARISER_KEY,
    WatchedStore,
    asking,
    participant_token,
)

from meetai_servicekit.streams import Arrival
from meetai_transcript_ingest.domain.intake import unpack
from meetai_transcript_ingest.ports import MAX_PARTICIPANT_TOKEN_BYTES

JOIN = {"room": "standup", "roomJoin": True}
ROUTES = ("/transcript", "/integrity", "/transcript.vtt", "/transcript.json", "/summary")


def signed_by_hand(header: dict[str, Any], claims: str) -> str:
    """A token that PyJWT wouldn't make; its signature is empty."""
    parts = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (json.dumps(header), claims)]
    return ".".join([*parts, ""])


def swapped_claims(**changed: Any) -> str:
    """A valid signature over other claims."""
    header, _, signature = participant_token("other").split(".")
    _, claims, _ = participant_token("standup", **changed).split(".")
    return f"{header}.{claims}.{signature}"


VALID_CLAIMS = json.dumps({"iss": API_KEY, "sub": "eve", "exp": NOW_SECONDS + 500, "video": JOIN})

UNKNOWN: dict[str, str | None] = {
    "nothing": None,
    "a key that nobody has": "x" * 43,
    "algorithm none": participant_token(algorithm="none"),
    "algorithm none, written NoNe": signed_by_hand({"alg": "NoNe", "typ": "JWT"}, VALID_CLAIMS),
    "algorithm HS512 with the right secret": participant_token(algorithm="HS512", secret=API_SECRET * 2),
    "signature left out": participant_token().rpartition(".")[0] + ".",
    "another secret": participant_token(secret="another-secret-of-thirty-two-bytes-"),
    "one pair's key with the other's secret": participant_token(secret=NEXT_API_SECRET),
    "another issuer": participant_token(iss="otherkey"),
    "no issuer": participant_token(without="iss"),
    "issuer in a list": participant_token(iss=[API_KEY]),
    "claims under another token's signature": swapped_claims(),
    "expired": participant_token(exp=NOW_SECONDS - 11),
    "never expires": participant_token(without="exp"),
    "not valid yet": participant_token(nbf=NOW_SECONDS + 11),
    "times as text": participant_token(exp=str(NOW_SECONDS + 500)),
    "nobody's": participant_token(sub=""),
    "no subject": participant_token(without="sub"),
    "grants as text": participant_token(video="all"),  # type: ignore[arg-type]  # that is the attack
    "roomJoin as text": participant_token(video={"room": "standup", "roomJoin": "true"}),
    "claims that are a list": signed_by_hand({"alg": "HS256"}, "[]"),
    "nested deeply": signed_by_hand({"alg": "HS256"}, "[" * 20_000),
    "huge": participant_token(padding="x" * MAX_PARTICIPANT_TOKEN_BYTES),
    "key in its own header": participant_token(headers={"jwk": {"kty": "oct", "k": "AAAA"}}, secret="\0" * 32),
    "dots": "..",
}
SHUT_OUT = {
    "a key without the scope": OTHER_KEY,
    "another room": participant_token("retro"),
    "a room that begins alike": participant_token("standup2"),
    "the room in other case": participant_token("Standup"),
    "no room": participant_token(video={"roomJoin": True}),
    "an empty room": participant_token(video={"room": "", "roomJoin": True}),
    "no grants at all": participant_token(without="video"),
    "may not join": participant_token(video={"room": "standup", "roomJoin": False}),
    "admin who may not join": participant_token(video={"room": "standup", "roomAdmin": True, "roomList": True}),
    "server's own": participant_token(video={"roomCreate": True, "roomList": True, "roomAdmin": True}),
    "the agent, by its kind": participant_token(kind="agent"),
    "the agent, by its grant": participant_token(video={**JOIN, "agent": True}),
    "a recorder": participant_token(video={**JOIN, "recorder": True, "hidden": True}),
}


async def stored(meeting_id: str = "standup") -> WatchedStore:
    """A store with a meeting in it."""
    store = WatchedStore()
    producer = Producer(meeting_id)
    parcels = unpack(Arrival("stream", "1-1", {b"b": producer.say(3)})).parcels
    await store.commit(parcels, ())
    store.asked = 0
    return store


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("attack", [*UNKNOWN, *SHUT_OUT])
async def test_reader_is_told_nothing_when_the_credential_opens_nothing(attack: str, route: str) -> None:
    """401 or 403, word for word the same for a meeting that exists and one that doesn't, and the store isn't asked."""
    store = await stored()
    credential = UNKNOWN[attack] if attack in UNKNOWN else SHUT_OUT[attack]
    async with asking(store, key=credential) as client:
        existing = await client.get(f"/v1/meetings/standup{route}")
        unheard_of = await client.get(f"/v1/meetings/nobody{route}")
    assert existing.status_code == (401 if attack in UNKNOWN else 403)
    assert (existing.status_code, existing.content) == (unheard_of.status_code, unheard_of.content)
    assert existing.headers.raw == unheard_of.headers.raw
    assert b"standup" not in existing.content
    assert store.asked == 0


@pytest.mark.parametrize(
    "token",
    [
        participant_token(),
        participant_token(exp=NOW_SECONDS - 9),
        participant_token(nbf=NOW_SECONDS + 9),
        participant_token(without="nbf"),
        participant_token(exp=NOW_SECONDS + 10 * 365 * 86_400),
        participant_token(kind="standard"),
        participant_token(iss=NEXT_API_KEY, secret=NEXT_API_SECRET),
        participant_token(roomConfig={"metadata": '"' * 16_384}),
    ],
    ids=[
        "fresh",
        "just expired",
        "of a clock ahead",
        "without nbf",
        "for years",
        "standard",
        "next key",
        "with full metadata",
    ],
)
async def test_participant_reads_their_meeting_when_the_token_is_theirs(token: str) -> None:
    """With the leeway of clocks, for as long as the token says, and however much metadata is in it."""
    async with asking(await stored(), key=token) as client:
        response = await client.get("/v1/meetings/standup/transcript")
        assert (await client.get("/v1/meetings/retro/transcript")).status_code == 403
    assert response.status_code == 200
    assert len(response.json()["lines"]) == 3


@pytest.mark.parametrize("meeting_id", ["q3/планёрка", "a%2Fb", "a b", "é", "..", "x" * 256])
async def test_participant_reads_their_meeting_when_its_id_is_awkward(meeting_id: str) -> None:
    """The token names the meeting, the path encodes it."""
    async with asking(await stored(meeting_id), key=participant_token(meeting_id)) as client:
        response = await client.get(f"/v1/meetings/{quote(meeting_id, safe='').replace('.', '%2E')}/transcript")
    assert response.status_code == 200
    assert len(response.json()["lines"]) == 3


@pytest.mark.parametrize("segment", ["%FF", "e%CC%81", "%00"])
async def test_participant_is_shut_out_when_the_path_names_no_meeting(segment: str) -> None:
    """Not UTF-8, not NFC, a control character: 403 for a participant, 400 for a key."""
    async with asking(await stored(), key=participant_token()) as client:
        assert (await client.get(f"/v1/meetings/{segment}/transcript")).status_code == 403
    async with asking(await stored()) as client:
        assert (await client.get(f"/v1/meetings/{segment}/transcript")).status_code == 400


async def test_only_keys_open_anything_when_no_key_pair_is_set() -> None:
    """A token that would be right is like any other text then."""
    async with asking(await stored(), key=participant_token(), with_participants=False) as client:
        assert (await client.get("/v1/meetings/standup/transcript")).status_code == 401
    async with asking(await stored(), key=READER_KEY, with_participants=False) as client:
        assert (await client.get("/v1/meetings/standup/transcript")).status_code == 200


async def test_participant_reads_the_summary_and_writes_none_when_the_token_is_theirs() -> None:
    """Writing takes a service key: 401, and 403 for one that may only read; a store that is away is 503."""
    least = {"overview": "Hello.", "writtenBy": "test", "producerIds": []}
    async with asking(WatchedStore(), key=participant_token()) as client:
        assert (await client.get("/v1/meetings/standup/summary")).json()["overview"] == "Hello."
        assert (await client.get("/v1/meetings/retro/summary")).status_code == 403
        for key, status in ((participant_token(), 401), (READER_KEY, 403), (SUMMARISER_KEY, 503)):
            headers = {"Authorization": f"Bearer {key}"}
            assert (await client.put("/v1/meetings/standup/summary", json=least, headers=headers)).status_code == status
