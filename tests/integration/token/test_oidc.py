"""People by their OpenID provider's tokens: a real provider, keys that change, and the known attacks."""

from __future__ import annotations

import json
import time
import unittest.mock
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import jwt
import pytest
from livekit.api import AccessToken, VideoGrants
from structlog.testing import capture_logs
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers.oidc import AUDIENCE, OidcProvider, SigningKey, unsigned

from meetai_token.adapters import jwks
from meetai_token.adapters.oidc import LEEWAY_SECONDS, OidcPeople
from meetai_token.domain.errors import CallersUnavailableError, RefusedError
from meetai_token.domain.policy import Caller

PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"meeting_id": "m", "meeting_role": "host", "name": "Ann"},
    "bob": {"meeting_id": "m", "meeting_role": "participant"},
    "nowhere": {"meeting_role": "host"},
    "nothing": {"meeting_id": "m"},
    "king": {"meeting_id": "m", "meeting_role": "king"},
    "several": {"meeting_id": ["m", "n"], "meeting_role": "host"},
}


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def running_provider(node: str) -> Iterator[OidcProvider]:
    with OidcProvider(node, PEOPLE) as running:
        yield running


@pytest.fixture
def provider(running_provider: OidcProvider) -> Iterator[OidcProvider]:
    """The provider, with the keys that it began with; a test may change them."""
    keys = running_provider.keys
    yield running_provider
    if running_provider.keys != keys:
        running_provider.rotate(*keys)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def people(provider: OidcProvider, clock: Clock) -> AsyncIterator[OidcPeople]:
    people = OidcPeople(provider.issuer, AUDIENCE, meeting_claim="meeting_id", role_claim="meeting_role", now=clock)
    async with people.connected():
        yield people


class In(int):
    """So many seconds from when the token is made."""


def claims(provider: OidcProvider, **changed: Any) -> dict[str, Any]:
    """What is in a good token; None leaves a claim out."""
    now = int(time.time())
    good = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300, **PEOPLE["ann"]}
    made = {name: value for name, value in {**good, **changed}.items() if value is not None}
    return {name: now + value if isinstance(value, In) else value for name, value in made.items()}


async def test_person_is_known_when_the_provider_says_so(provider: OidcProvider, people: OidcPeople) -> None:
    """With the rights of their role, in their meeting, as themselves."""
    assert await people.caller_of(provider.token_of("ann")) == Caller(
        name="ann",
        highest="host",
        rights=frozenset({"see", "shape", "manage"}),
        meeting_id="m",
        identity="ann",
        display_name="Ann",
    )
    bob = await people.caller_of(provider.token_of("bob"))
    assert bob is not None
    assert (bob.highest, bob.rights, bob.display_name) == ("participant", frozenset({"see"}), None)


@pytest.mark.parametrize("subject", ["nowhere", "nothing", "king", "several"])
async def test_person_is_refused_when_the_provider_gives_them_nothing_here(
    provider: OidcProvider, people: OidcPeople, subject: str
) -> None:
    """A good token without a meeting, without a role, with one that isn't ours, or with several meetings."""
    with pytest.raises(RefusedError):
        await people.caller_of(provider.token_of(subject))


@pytest.mark.parametrize(
    "good",
    [
        {"aud": [AUDIENCE, "https://other.example.com"]},
        {"nbf": In(LEEWAY_SECONDS // 2)},
        {"exp": In(-1)},
        {"sub": "a/b é"},
    ],
    ids=["several audiences", "clock behind", "clock ahead", "any subject that is an id"],
)
async def test_token_is_good_when_it_is_within_the_rules(
    provider: OidcProvider, people: OidcPeople, good: dict[str, Any]
) -> None:
    """Several audiences are usual (RFC 7519, section 4.1.3), and clocks differ a little."""
    assert await people.caller_of(provider.keys[0].signs(claims(provider, **good))) is not None


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example.com"},
    "issuer with a slash more": {"iss": "{issuer}/"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "https://other.example.com"},
    "audience list without us": {"aud": ["https://other.example.com", "https://third.example.com"]},
    "audience list of lists": {"aud": [[AUDIENCE]]},
    "no audience": {"aud": None},
    "empty audience list": {"aud": []},
    "audience that begins like ours": {"aud": f"{AUDIENCE}.evil.org"},
    "expired": {"exp": In(-LEEWAY_SECONDS - 60)},
    "never expires": {"exp": None},
    "expiry that is no number": {"exp": "tomorrow"},
    "not yet valid": {"nbf": In(3600)},
    "issued tomorrow": {"iat": In(86_400)},
    "no subject": {"sub": None},
    "subject that is no text": {"sub": 7},
    "bound to a key": {"cnf": {"jkt": "x"}},
}


@pytest.mark.parametrize("bad", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_token_is_refused_when_its_claims_are_bad(
    provider: OidcProvider, people: OidcPeople, bad: dict[str, Any]
) -> None:
    """Each signed with the provider's own key, so that nothing but the claim can be the reason."""
    filled = {
        name: value.format(issuer=provider.issuer) if isinstance(value, str) else value for name, value in bad.items()
    }
    made = claims(provider, **filled)
    if made.get("sub") == 7:  # PyJWT doesn't write what it wouldn't read
        payload = json.dumps(made).encode()
        key = provider.keys[0]
        assert await people.caller_of(jwt.PyJWS().encode(payload, key.private, key.alg, {"kid": key.id})) is None
        return
    assert await people.caller_of(provider.keys[0].signs(made)) is None


def _hmac_with(secret: bytes, provider: OidcProvider) -> str:
    header = {"kid": provider.keys[0].id}
    signer = jwt.PyJWS(algorithms=["HS256"])
    with unittest.mock.patch.object(signer._algorithms["HS256"], "prepare_key", lambda key: key):  # PyJWT won't sign so
        return signer.encode(json.dumps(claims(provider)).encode(), secret, "HS256", header)


def _public_pem(provider: OidcProvider) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem: bytes = provider.keys[0].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def _with_own_key_inside(provider: OidcProvider) -> str:
    stranger = SigningKey()
    public = {name: stranger.jwk[name] for name in ("kty", "n", "e")}
    return stranger.signs(claims(provider), kid=provider.keys[0].id, jwk=public)


def _tampered(provider: OidcProvider) -> str:
    head, _, signature = provider.keys[0].signs(claims(provider)).split(".")
    other = provider.keys[0].signs(claims(provider, meeting_id="other")).split(".")[1]
    return f"{head}.{other}.{signature}"


ATTACKS: dict[str, Callable[[OidcProvider], str]] = {
    "no signature": lambda provider: unsigned(claims(provider)),
    "no signature, in other letters": lambda provider: unsigned(claims(provider), alg="nOnE", kid=provider.keys[0].id),
    "signature cut off": lambda provider: provider.keys[0].signs(claims(provider)).rpartition(".")[0] + ".",
    "HMAC with the public key": lambda provider: _hmac_with(_public_pem(provider), provider),
    "HMAC with the key's id": lambda provider: _hmac_with(provider.keys[0].id.encode(), provider),
    "another's key under a known id": lambda provider: SigningKey().signs(claims(provider), kid=provider.keys[0].id),
    "another's key brought along": _with_own_key_inside,
    "another's key by address": lambda provider: SigningKey().signs(claims(provider), jku="https://evil.example.com"),
    "another's elliptic key": lambda provider: SigningKey("ES256").signs(claims(provider), kid=provider.keys[0].id),
    "claims exchanged": _tampered,
    "key id as a path": lambda provider: SigningKey().signs(claims(provider), kid="../../../../dev/null"),
    "key id as a query": lambda provider: SigningKey().signs(claims(provider), kid="x' UNION SELECT 'secret' --"),
    "type that is a list": lambda provider: unsigned(claims(provider), alg="RS256", typ=[]),
    "type that is an object": lambda provider: unsigned(claims(provider), alg="RS256", typ={"a": 1}),
    "algorithm of another type": lambda provider: unsigned(claims(provider), alg=[], kid=provider.keys[0].id),
    "key id of another type": lambda provider: unsigned(claims(provider), alg="RS256", kid={"a": 1}),
    "no key id": lambda provider: unsigned(claims(provider), alg="RS256"),
    "an algorithm of the same key": lambda provider: jwt.encode(
        claims(provider), provider.keys[0].private, "PS256", {"kid": provider.keys[0].id}
    ),
    "another kind of token": lambda provider: provider.keys[0].signs(claims(provider), typ="logout+jwt"),
    "something critical": lambda provider: provider.keys[0].signs(claims(provider), crit=["x"], x=1),
    "a participant's token": lambda _: (
        AccessToken(API_KEY, API_SECRET)
        .with_identity("ann")
        .with_grants(VideoGrants(room_join=True, room="m", room_admin=True))
        .to_jwt()
    ),
    "not a token": lambda _: "a.b.c",
    "nothing but dots": lambda _: "..",
    "deeply nested": lambda _: "W1tb" * 2_000 + ".e30.e30",
    "no text": lambda _: "\u00ff\u00fe.\u00ff.\u00ff",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
async def test_token_is_refused_when_it_is_an_attack(
    provider: OidcProvider, people: OidcPeople, attack: Callable[[OidcProvider], str]
) -> None:
    """And it's in the log that something was refused, without a part of it."""
    token = attack(provider)
    with capture_logs() as logs:
        assert await people.caller_of(token) is None
    assert "credential_refused" in [line["event"] for line in logs]
    assert not any(part in str(logs) for part in token.split(".") if len(part) > 8)


async def test_people_get_in_when_the_keys_change(provider: OidcProvider, people: OidcPeople, clock: Clock) -> None:
    """New key beside the old one: both are good; old one withdrawn: its tokens are not, once the set is fetched again."""
    old, new = provider.keys[0], SigningKey("ES256")
    before = provider.token_of("ann")
    assert await people.caller_of(before) is not None
    provider.rotate(new, old)
    clock.seconds += jwks.RETRY_SECONDS
    assert await people.caller_of(provider.token_of("ann")) is not None
    assert await people.caller_of(before) is not None
    provider.rotate(new)
    clock.seconds += jwks.FRESH_SECONDS
    assert await people.caller_of(provider.token_of("ann")) is not None
    assert await people.caller_of(before) is None


async def test_provider_is_asked_no_oftener_when_strangers_make_up_key_ids(
    provider: OidcProvider, people: OidcPeople, clock: Clock
) -> None:
    """However many: once, until the time for the next is come."""
    stranger = SigningKey()
    with capture_logs() as logs:
        for number in range(20):
            assert await people.caller_of(stranger.signs(claims(provider), kid=f"made-up-{number}")) is None
        clock.seconds += jwks.RETRY_SECONDS
        for number in range(20):
            assert await people.caller_of(stranger.signs(claims(provider), kid=f"made-up-{number}")) is None
    assert [line["event"] for line in logs].count("provider_keys_fetched") == 2


async def test_known_people_get_in_when_the_provider_is_away(
    provider: OidcProvider, people: OidcPeople, clock: Clock
) -> None:
    """For an hour; then nobody can be told any more, which is said as such, and not as a bad token."""
    token = provider.token_of("ann")
    assert await people.caller_of(token) is not None
    keys = provider.keys
    provider.stop()
    try:
        clock.seconds += jwks.FRESH_SECONDS
        assert await people.caller_of(token) is not None
        clock.seconds += jwks.STALE_SECONDS
        with pytest.raises(CallersUnavailableError):
            await people.caller_of(token)
    finally:
        provider.rotate(*keys)
    clock.seconds += jwks.RETRY_SECONDS
    assert await people.caller_of(token) is not None
