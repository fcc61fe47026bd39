"""Where both ways of asking for a token meet: the use case, counted."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar.types import Scope
from prometheus_client import CollectorRegistry, Counter, Histogram

from meetai_contracts.api import TokenRequest
from meetai_servicekit.direct import called_directly
from meetai_servicekit.http import told
from meetai_servicekit.tracing import current_exemplar
from meetai_token.domain.policy import ROLES_BY_RANK
from meetai_token.http.refusals import MINTING_REFUSED
from meetai_token.usecases import Admission, AdmitPerson

MINTING_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Without LiveKit a token takes a tenth of a millisecond; two calls to it come before."""
NOT_STORED: Final = {"Cache-Control": "no-store"}
MINTING: Final[dict[str, Any]] = {
    "middleware": [called_directly],
    "response_headers": NOT_STORED,
    "responses": MINTING_REFUSED,
    "tags": ["tokens"],
}
"""What both `POST` routes declare."""


class Door:
    """`AdmitPerson`, its tokens counted by role; and where those who are let in reach LiveKit."""

    def __init__(self, admit_person: AdmitPerson, *, server_url: str, registry: CollectorRegistry) -> None:
        self.server_url = server_url
        self._admit_person = admit_person
        minted = Counter("meetai_tokens_minted", "Tokens minted.", ("role",), registry=registry)
        self._minted = {role: minted.labels(role) for role in ROLES_BY_RANK}
        self._seconds = Histogram(
            "meetai_token_minting_seconds",
            "From a request that was let in to its token, LiveKit's part included; only where there is a token.",
            registry=registry,
            buckets=MINTING_BUCKETS_SECONDS,
        )

    async def __call__(self, meeting_id: str, request: TokenRequest, scope: Scope) -> Admission:
        """As `AdmitPerson`, for the caller of this request. The token's audit line is the request's canonical one."""
        started = time.perf_counter()
        admission = await self._admit_person(meeting_id, request, scope["auth"])
        self._seconds.observe(time.perf_counter() - started, current_exemplar())
        self._minted[admission.role].inc()
        told(scope)
        return admission
