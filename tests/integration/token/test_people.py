"""People ask for themselves, over HTTP: their provider's claims decide room, role and rights, never what they send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from tests.integration.token.livekit_server import API_SECRET
from tests.integration.token.token_process import TokenProcess, token_process
from tests.servers.embedded import EmbeddedServer
from tests.servers.node import run_script
from tests.servers.oidc import AUDIENCE, OidcProvider, SigningKey, unsigned
from tests.servers.ports import free_port

PEOPLE = {
    "ann": {"meeting_id": "people é", "meeting_role": "host", "name": "Ann"},
    "bob": {"meeting_id": "people é", "meeting_role": "participant"},
    "vera": {"meeting_id": "people é", "meeting_role": "viewer", "name": "Vera"},
    "nobody": {},
}
PATH = "/v1/meetings/people%20%C3%A9"


@pytest.fixture(scope="module")
def provider(node: str) -> Iterator[OidcProvider]:
    with OidcProvider(node, PEOPLE) as running:
        yield running


@pytest.fixture(scope="module")
def service(
    livekit: EmbeddedServer, provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenProcess]:
    extra = {"OIDC_ISSUER": provider.issuer, "OIDC_AUDIENCE": AUDIENCE}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as running:
        yield running


def call(service: TokenProcess, token: str, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, f"{service.url}{path}", json=body, headers=headers, timeout=10)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, API_SECRET, algorithms=["HS256"])
    return claims


@pytest.mark.parametrize(
    ("person", "name", "publish"), [("ann", "Ann", True), ("bob", "bob", True), ("vera", "Vera", False)]
)
def test_livekit_client_gets_in_when_it_says_nothing_at_all(
    service: TokenProcess, provider: OidcProvider, node: str, person: str, name: str, publish: bool
) -> None:
    """The real npm package with a person's own token: the claims say all that there is to say."""
    endpoint = f"{service.url}/livekit/token"
    got = run_script(
        node, "token_source.mjs", TOKEN_ENDPOINT=endpoint, CREDENTIAL=provider.token_of(person), OPTIONS="{}"
    )
    assert "details" in got, got
    claims = claims_of(got["details"]["participantToken"])
    assert (claims["sub"], claims["name"], claims["video"]["room"]) == (person, name, "people é")
    assert claims["video"]["canPublish"] is publish
    assert claims["video"]["roomAdmin"] is False


@pytest.mark.parametrize(
    ("person", "path", "body", "field"),
    [
        ("ann", "/v1/meetings/other/tokens", {"userId": "ann", "userName": "Ann"}, "meetingId"),
        ("ann", f"{PATH}/tokens", {"userId": "bob", "userName": "Ann"}, "userId"),
        ("ann", f"{PATH}/tokens", {"userId": "ann", "userName": "Bob"}, "userName"),
        ("bob", f"{PATH}/tokens", {"userId": "bob", "userName": "Bob", "role": "host"}, "role"),
        ("vera", f"{PATH}/tokens", {"userId": "vera", "userName": "Vera", "role": "participant"}, "role"),
        ("bob", f"{PATH}/tokens", {"userId": "bob", "userName": "Bob", "agent": None}, "agent"),
        ("bob", f"{PATH}/tokens", {"userId": "bob", "userName": "Bob", "meetingName": "Mine"}, "meetingName"),
        ("bob", "/livekit/token", {"room_name": "other"}, "room_name"),
        ("bob", "/livekit/token", {"participant_identity": "ann"}, "participant_identity"),
        ("vera", "/livekit/token", {"participant_name": "Ann"}, "participant_name"),
    ],
)
def test_field_is_refused_by_name_when_the_claims_say_otherwise(
    service: TokenProcess, provider: OidcProvider, person: str, path: str, body: object, field: str
) -> None:
    """403: what a person sends may repeat the claims, and choose less, and nothing else."""
    answer = call(service, provider.token_of(person), "POST", path, body)
    assert answer.status_code == 403, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_host_rules_their_meeting_and_no_other(service: TokenProcess, provider: OidcProvider) -> None:
    """Names it, sees it and ends it; a participant sees it only."""
    ann, bob = provider.token_of("ann"), provider.token_of("bob")
    body = {"userId": "ann", "userName": "Ann", "role": "viewer", "meetingName": "Ours"}
    answer = call(service, ann, "POST", f"{PATH}/tokens", body)
    assert answer.status_code == 201, answer.text
    assert claims_of(answer.json()["participantToken"])["video"]["canPublish"] is False
    assert call(service, bob, "GET", PATH).json()["meetingName"] == "Ours"
    assert call(service, bob, "DELETE", PATH).status_code == 403
    assert call(service, bob, "DELETE", f"{PATH}/participants/ann").status_code == 403
    assert call(service, ann, "GET", "/v1/meetings/other").status_code == 403
    assert call(service, ann, "DELETE", "/v1/meetings/other").status_code == 403
    assert call(service, ann, "DELETE", PATH).status_code == 204
    assert call(service, provider.token_of("nobody"), "GET", PATH).status_code == 403


def test_caller_is_unknown_when_the_credential_is_not_theirs(service: TokenProcess, provider: OidcProvider) -> None:
    """A participant's own LiveKit token, a stranger's, none's, and one that is huge: 401, and none is in the log."""
    ann = provider.token_of("ann")
    got = call(service, ann, "POST", "/livekit/token", {}).json()["participant_token"]
    claims = jwt.decode(ann, options={"verify_signature": False})
    huge = provider.keys[0].signs({**claims, "groups": ["g" * 10] * 1_000})
    for credential in (got, SigningKey().signs(claims, kid=provider.keys[0].id), unsigned(claims), huge):
        answer = call(service, credential, "GET", PATH)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert credential not in service.log()


def test_service_keys_are_known_when_the_provider_is_away(
    livekit: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Backends go on; people get 503 with Retry-After, not 401."""
    extra = {"OIDC_ISSUER": f"http://127.0.0.1:{free_port()}", "OIDC_AUDIENCE": AUDIENCE}
    with token_process(tmp_path_factory.mktemp("token"), livekit.url, extra) as service:
        assert service.ask("away", {"userId": "u", "userName": "Ann"}).status_code == 201
        answer = call(service, SigningKey().signs({"sub": "ann"}), "POST", "/livekit/token", {})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "identity provider" in answer.json()["detail"]
