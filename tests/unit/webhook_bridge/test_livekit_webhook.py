"""Whose webhooks are believed, and what is understood of them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, claims, digest, encoded, room_finished, signed

from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.adapters.livekit_webhook import KeyPair, LiveKitWebhookReader
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError

NOW = 1_800_000_000
BODY = encoded(room_finished())
OLD_KEY, OLD_SECRET = "oldkey", "for-tests-only-before-the-rotation-01"
DAY = 86_400

READER = LiveKitWebhookReader(
    [KeyPair(api_key=API_KEY, secret=Secret(API_SECRET)), KeyPair(api_key=OLD_KEY, secret=Secret(OLD_SECRET))],
    now=lambda: datetime.fromtimestamp(NOW, UTC),
)


def token(*, body: bytes = BODY, secret: str = API_SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    payload = json.dumps(claims(body, now=NOW, **changed)).encode()
    return jwt.PyJWS().encode(payload, secret, algorithm=algorithm)  # which doesn't look at what it signs


def unsigned(header: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in (header, claims(BODY, now=NOW))]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def respelt(authorization: str) -> str:
    """The same signature bits, with one of the two unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return authorization[:-1] + alphabet[alphabet.index(authorization[-1]) + 1]


FORGERIES = {
    "nothing": "",
    "only a scheme": "Bearer ",
    "garbage": "garbage",
    "three dots": "...",
    "not ascii": "é😀.é.é",
    "no algorithm": unsigned({"alg": "none", "typ": "JWT"}),
    "no algorithm, in capitals": unsigned({"alg": "NONE"}),
    "no algorithm named": unsigned({"typ": "JWT"}),
    "signature cut off": token().rpartition(".")[0] + ".",
    "a signature with a stray bit": respelt(token()),
    "a signature with stray characters": token()[:-4] + "{}{}" + token()[-4:],
    "a NUL at the end": token() + "\x00",
    "another secret": token(secret="not-the-secret-0123456789abcdefghijkl"),
    "another issuer": token(iss="somebody"),
    "the old key's name with the new secret": token(iss=OLD_KEY),
    "no issuer": token(iss=None),
    "a list of issuers": token(iss=[API_KEY]),
    "HS512": token(algorithm="HS512"),
    "HS384": token(algorithm="HS384"),
    "another body's digest": token(sha256=digest(b"{}")),
    "no digest": token(sha256=None),
    "an empty digest": token(sha256=""),
    "a digest that isn't ascii": token(sha256="é\ud800"),
    "a digest that is a number": token(sha256=1),
    "expired": token(exp=NOW - 60),
    "no expiry": token(exp=None),
    "an expiry in ten years": token(exp=NOW + 3650 * DAY),
    "an expiry that is text": token(exp=str(NOW + 300)),
    "an expiry that is not a number": token(exp=float("nan")),
    "an expiry that is infinite": token(exp=float("inf")),
    "an expiry of 400 digits": token(exp=10**400),
    "valid from tomorrow": token(nbf=NOW + DAY, exp=NOW + 300),
    "a payload that is a list": jwt.PyJWS().encode(b"[]", API_SECRET, algorithm="HS256"),
    "a payload nested too deeply": jwt.PyJWS().encode(b"[" * 2000 + b"]" * 2000, API_SECRET, algorithm="HS256"),
    "a critical header that is unknown": jwt.PyJWS().encode(
        json.dumps(claims(BODY, now=NOW)).encode(), API_SECRET, algorithm="HS256", headers={"crit": ["exp"]}
    ),
    "huge": "a" * 100_000,
    "huge, with three parts": f"{'a' * 50_000}.{'b' * 50_000}.c",
    "twice": f"{token()},{token()}",
    "a basic credential": "Basic ZGV2a2V5OnNlY3JldA==",
}


@pytest.mark.parametrize("authorization", FORGERIES.values(), ids=FORGERIES)
def test_a_webhook_is_refused_when_its_signature_is_forged_or_stale(authorization: str) -> None:
    """Whatever is wrong, it is one error, whose reason holds none of the token."""
    with pytest.raises(ForgedWebhookError) as refusal:
        READER.read(BODY, authorization)
    assert refusal.value.reason.isidentifier()


@pytest.mark.parametrize("changed", [BODY + b" ", BODY[:-1], b"", BODY.replace(b"standup", b"Standup")])
def test_a_webhook_is_refused_when_one_byte_of_its_body_changed(changed: bytes) -> None:
    """The signature is over the raw body."""
    with pytest.raises(ForgedWebhookError):
        READER.read(changed, token())


@given(st.binary(max_size=200), st.text(max_size=200))
def test_nothing_is_believed_when_it_is_random(body: bytes, authorization: str) -> None:
    """And nothing else is raised."""
    with pytest.raises(ForgedWebhookError):
        READER.read(body, authorization)


@pytest.mark.parametrize(
    "authorization",
    [
        token(),
        f"Bearer {token()}",
        f"bearer  {token()} ",
        token(iss=OLD_KEY, secret=OLD_SECRET),
        token(exp=NOW - 20),
        token(nbf=NOW + 20),
        token(nbf=None),
        token(exp=NOW + 600),
    ],
    ids=["bare", "bearer", "spaced", "old key", "clock ahead", "clock behind", "no start", "ten minutes"],
)
def test_a_webhook_is_believed_when_livekit_signed_it(authorization: str) -> None:
    """With or without scheme, by any key of ours, by a clock that is a little off."""
    assert READER.read(BODY, authorization).id == "EV_1"


def read(webhook: object) -> Any:
    body = webhook if isinstance(webhook, bytes) else encoded(webhook)
    return READER.read(body, signed(body, now=NOW))


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ({"creationTime": "1700000000", "creationTimeMs": "1700000000123"}, 1_700_000_000.123),
        ({"creationTime": 1_700_000_000, "creationTimeMs": 1_700_000_000_123}, 1_700_000_000.123),
        ({"creationTime": "1700000000"}, 1_700_000_000),
        ({"creationTime": 1_700_000_000}, 1_700_000_000),
        ({"creationTime": "1700000000", "creationTimeMs": "0"}, 1_700_000_000),
        ({}, None),
    ],
)
def test_times_are_read_when_int64_is_text_or_a_number(created: dict[str, Any], expected: float | None) -> None:
    """Milliseconds first; seconds where a server has no more."""
    webhook = read(
        {"event": "room_finished", "id": "EV_1", "createdAt": 1_700_000_600, "room": {"sid": "RM", **created}}
    )
    assert webhook.created_at == datetime.fromtimestamp(1_700_000_600, UTC)
    found = webhook.room.created_at
    assert (found and found.timestamp()) == expected


def test_a_webhook_is_dated_now_when_it_has_no_date() -> None:
    """Protojson leaves a zero out."""
    assert read({"event": "room_started", "id": "EV_1"}).created_at == datetime.fromtimestamp(NOW, UTC)


def test_events_and_fields_are_kept_when_they_are_unknown() -> None:
    """Newer servers add both."""
    webhook = read({"event": "moon_landed", "id": "EV_1", "room": {"sid": "RM", "crater": {"depth": 3}}, "tide": [1]})
    assert webhook.event == "moon_landed"
    assert webhook.body["room"]["crater"] == {"depth": 3}
    assert webhook.body["tide"] == [1]


def test_no_credential_is_in_what_was_read() -> None:
    """LiveKit puts the room's TURN password into every body."""
    assert "turnPassword" not in str(read(room_finished()))
    assert "live-credential" not in str(read(room_finished()))


MALFORMED: dict[str, object] = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"id": "\xff"}',
    "a list": [],
    "no id": {"event": "room_finished"},
    "an empty id": {"event": "room_finished", "id": ""},
    "an id too long": {"event": "room_finished", "id": "x" * 257},
    "no event": {"id": "EV_1"},
    "a room that is text": {"event": "room_finished", "id": "EV_1", "room": "standup"},
    "a time that is a word": {"event": "room_finished", "id": "EV_1", "createdAt": "noon"},
    "a time after all calendars": {"event": "room_finished", "id": "EV_1", "createdAt": "9" * 18},
    "a time before 1970": {"event": "room_finished", "id": "EV_1", "createdAt": "-1"},
    "nested too deeply": b'{"id": "EV_1", "event": "x", "deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nested deeply": b'{"id": "EV_1", "event": "x", "deep": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a lone surrogate": b'{"id": "EV_1", "event": "\\ud800"}',
    "a number out of range": b'{"id": "EV_1", "event": "x", "n": 1e999}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_webhook_is_malformed_when_it_is_signed_and_not_one(body: object) -> None:
    """One error, whose reason holds none of the body."""
    with pytest.raises(MalformedWebhookError) as refusal:
        read(body)
    assert refusal.value.reason.isidentifier()
