"""A hundred thousand webhooks that were tampered with, each tenth through the whole application: none is accepted, none breaks it."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
import structlog
from prometheus_client import CollectorRegistry
from tests.unit.webhook_bridge.asgi import post
from tests.unit.webhook_bridge.fakes import FakeClock, FakeMeasures
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, claims, encoded, room_finished, signed

from meetai_servicekit.http import create_http_service
from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.adapters.livekit_webhook import KeyPair, LiveKitWebhookReader
from meetai_webhook_bridge.domain.errors import ForgedWebhookError, MalformedWebhookError
from meetai_webhook_bridge.http.webhooks import MAX_WEBHOOK_BYTES, webhook_routes
from meetai_webhook_bridge.usecases.accept_webhook import AcceptWebhook

MUTATIONS = 100_000
THROUGH_THE_APPLICATION = 11
"""One of so many, since a request costs twenty times the reading of it; prime to the number of kinds, so that all go through."""
SEED = 20261123
BODY = encoded(room_finished())
OTHER_BODY = encoded(room_finished("EV_2", sid="RM_2"))
TOKEN = signed(BODY)

Mutation = Callable[[random.Random], tuple[bytes, bytes]]


def flipped(data: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    position = chance.randrange(len(data))
    return data[:position] + bytes([data[position] ^ (1 << chance.randrange(8))]) + data[position + 1 :]


def spliced(data: bytes, chance: random.Random) -> bytes:
    """A piece is cut out, or put in."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 20)
    return data[:at] + (chance.randbytes(length) if chance.random() < 0.5 else b"") + data[at + length :]


def unsigned(payload: object, header: dict[str, Any], chance: random.Random) -> bytes:
    """A token with somebody else's idea of a signature."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)]
    return b".".join([*parts, base64.urlsafe_b64encode(chance.randbytes(chance.choice([0, 1, 32]))).rstrip(b"=")])


def wrong_claims(chance: random.Random) -> bytes:
    """Rightly signed, for something else: another body or issuer, another time, or no claim at all."""
    wrong: dict[str, Any] = chance.choice(
        [
            {"sha256": None},
            {"sha256": chance.choice(["", "é", "x" * 44, 7, [], {"a": 1}])},
            {"iss": chance.choice([None, "", "somebody", API_KEY + " ", API_KEY.upper()])},
            {"exp": chance.choice([None, 0, -1, 1, 2**31, 10**30, "soon", 1e300])},
            {"nbf": chance.choice([2**40, 10**30, "later"])},
        ]
    )
    made = {name: value for name, value in {**claims(BODY), **wrong}.items() if value is not None}
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    payload = base64.urlsafe_b64encode(json.dumps(made).encode()).rstrip(b"=")
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        header + b"." + payload, API_SECRET.encode()
    )
    return b".".join([header, payload, base64.urlsafe_b64encode(signature).rstrip(b"=")])


ALGORITHMS = ["none", "None", "HS384", "RS256", "ES256", "", None, 7, ["HS256"]]
MUTATIONS_BY_KIND: dict[str, Mutation] = {
    "body flipped": lambda chance: (flipped(BODY, chance), TOKEN.encode()),
    "body spliced": lambda chance: (spliced(BODY, chance) + b" ", TOKEN.encode()),
    "body replaced": lambda chance: (chance.choice([b"", b"null", b"[" * 5_000, OTHER_BODY]), TOKEN.encode()),
    "token spliced": lambda chance: (BODY, spliced(TOKEN.encode(), chance) + b"."),
    "token random": lambda chance: (BODY, chance.randbytes(chance.randrange(0, 400))),
    "token too long": lambda chance: (BODY, TOKEN.encode() * chance.randrange(20, 30)),
    "algorithm": lambda chance: (BODY, unsigned(claims(BODY), {"alg": chance.choice(ALGORITHMS)}, chance)),
    "other secret": lambda chance: (BODY, jwt.encode(claims(BODY), chance.randbytes(40), "HS256").encode()),
    "claims": lambda chance: (BODY, wrong_claims(chance)),
}


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nobody reads a hundred thousand lines of log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


def is_refused(reader: LiveKitWebhookReader, body: bytes, authorization: str) -> bool:
    """Whether it is, in one of the two ways that the application knows."""
    try:
        reader.read(body, authorization)
    except (ForgedWebhookError, MalformedWebhookError):
        return True
    return False


async def test_nothing_is_accepted_and_nothing_breaks_when_webhooks_are_tampered_with(quiet: None) -> None:
    """Bodies, tokens, claims and algorithms; and before and after them a true one is taken."""
    inbox = MemoryInbox(FakeClock())
    reader = LiveKitWebhookReader([KeyPair(api_key=API_KEY, secret=Secret(API_SECRET))], now=lambda: datetime.now(UTC))
    accept = AcceptWebhook(
        reader=reader,
        inbox=inbox,
        measures=FakeMeasures(),
        relayed=frozenset({"room_finished"}),
        wake_relay=lambda: None,
    )
    app = create_http_service(
        title="webhooks",
        routes=webhook_routes(accept),
        readiness={},
        registry=CollectorRegistry(),
        max_body_bytes=MAX_WEBHOOK_BYTES,
    )
    assert await post(app, OTHER_BODY, signed(OTHER_BODY).encode()) == 200
    chance = random.Random(SEED)
    kinds = list(MUTATIONS_BY_KIND)
    statuses: Counter[str] = Counter()
    for number in range(MUTATIONS):
        kind = kinds[number % len(kinds)]
        body, authorization = MUTATIONS_BY_KIND[kind](chance)
        if number % THROUGH_THE_APPLICATION == 0:
            status = await post(app, body, authorization)
            assert status in {400, 401, 413}, f"{kind}, number {number}: {status}"
            statuses[kind] += 1
            continue
        assert is_refused(reader, body, authorization.decode("latin-1")), f"{kind}, number {number}"
    assert set(statuses) == set(kinds)
    assert list(inbox.webhooks) == ["EV_2"]
    assert await post(app, BODY, signed(BODY).encode()) == 200
