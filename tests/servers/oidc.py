"""A real OpenID provider (`oidc-provider` from npm) whose keys a test chooses, changes and signs with."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from tests.servers.node import FOLDER
from tests.servers.ports import free_port
from tests.waiting import wait_until

START_SECONDS = 30
AUDIENCE = "https://meet.example.com"
SECRET = "for-tests-only-0123456789abcdef"


class SigningKey:
    """A private key and its id."""

    def __init__(self, alg: str = "RS256") -> None:
        self.alg = alg
        self.id = uuid.uuid4().hex
        if alg == "ES256":
            self.private: Any = ec.generate_private_key(ec.SECP256R1())
            jwk = ECAlgorithm.to_jwk(self.private, as_dict=True)
        else:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            jwk = RSAAlgorithm.to_jwk(self.private, as_dict=True)
        wanted = {"kty", "crv", "n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"}
        self.jwk = {name: value for name, value in jwk.items() if name in wanted}
        self.jwk |= {"kid": self.id, "alg": alg, "use": "sig"}

    def signs(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token with these claims; header fields may be set or, as None, left out."""
        return jwt.encode(dict(claims), self.private, algorithm=self.alg, headers={"kid": self.id, **header})


class OidcProvider:
    """Runs while its context is open; `people` maps each subject to the claims in their tokens."""

    def __init__(self, node: str, people: Mapping[str, Mapping[str, Any]]) -> None:
        self._node = node
        self._people = people
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.issuer = f"http://127.0.0.1:{self._port}"
        self.keys: tuple[SigningKey, ...] = (SigningKey(),)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def rotate(self, *keys: SigningKey) -> None:
        """Start again with these keys, the first of which signs."""
        self.stop()
        self.keys = keys
        self._start()

    def stop(self) -> None:
        """Nobody answers any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def token_of(self, subject: str) -> str:
        """What the provider itself gives this person."""
        answer = httpx.post(
            f"{self.issuer}/token",
            data={"grant_type": "client_credentials", "resource": AUDIENCE},
            auth=(subject, SECRET),
            timeout=10,
        )
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token

    def _start(self) -> None:
        people = [{"id": id_, "secret": SECRET, "claims": claims} for id_, claims in self._people.items()]
        environment = {
            "PORT": str(self._port),
            "JWKS": json.dumps({"keys": [key.jwk for key in self.keys]}),
            "CLIENTS": json.dumps(people),
            "AUDIENCE": AUDIENCE,
        }
        self._process = subprocess.Popen(
            [self._node, str(FOLDER / "oidc_provider.mjs")],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, seconds=START_SECONDS)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def unsigned(claims: Mapping[str, Any], **header: Any) -> str:
    """A token with `alg: none`, which says that it needs no signature."""
    parts = (json.dumps({"alg": "none", "typ": "JWT", **header}), json.dumps(dict(claims)))
    encoded = [base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts]
    return f"{encoded[0]}.{encoded[1]}."
