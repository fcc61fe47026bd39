"""Where both ways of asking for a token meet: the use case, counted."""

from __future__ import annotations

import time
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from meetai_contracts.api import Role, TokenRequest
from meetai_servicekit.tracing import current_exemplar
from meetai_token.domain.policy import Caller
from meetai_token.usecases import Admission, AdmitPerson

MINTING_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Without LiveKit a token takes a tenth of a millisecond; two calls to it come before."""
NOT_STORED: Final = {"Cache-Control": "no-store"}


class Door:
    """`AdmitPerson`, its tokens counted by role; and where those who are let in reach LiveKit."""

    def __init__(self, admit_person: AdmitPerson, *, server_url: str, registry: CollectorRegistry) -> None:
        self.server_url = server_url
        self._admit_person = admit_person
        self._minted = Counter("meetai_tokens_minted", "Tokens minted.", ("role",), registry=registry)
        for role in get_args(Role):
            self._minted.labels(role)
        self._seconds = Histogram(
            "meetai_token_minting_seconds",
            "From a request that was let in to its token, LiveKit's part included; only where there is a token.",
            registry=registry,
            buckets=MINTING_BUCKETS_SECONDS,
        )

    async def __call__(self, meeting_id: str, request: TokenRequest, caller: Caller) -> Admission:
        """As `AdmitPerson`."""
        started = time.perf_counter()
        admission = await self._admit_person(meeting_id, request, caller)
        self._seconds.observe(time.perf_counter() - started, current_exemplar())
        self._minted.labels(admission.role).inc()
        return admission
