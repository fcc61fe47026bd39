"""Where both ways of asking for a token meet: the use case, counted."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from meetai_contracts.api import TokenRequest
from meetai_token.domain.policy import Caller
from meetai_token.usecases import Admission, AdmitPerson

NOT_STORED: Final = {"Cache-Control": "no-store"}


class Door:
    """`AdmitPerson`, its tokens counted by role; and where those who are let in reach LiveKit."""

    def __init__(self, admit_person: AdmitPerson, *, server_url: str, registry: CollectorRegistry) -> None:
        self.server_url = server_url
        self._admit_person = admit_person
        self._minted = Counter("meetai_tokens_minted", "Tokens minted.", ("role",), registry=registry)

    async def __call__(self, meeting_id: str, request: TokenRequest, caller: Caller) -> Admission:
        """As `AdmitPerson`."""
        admission = await self._admit_person(meeting_id, request, caller)
        self._minted.labels(admission.role).inc()
        return admission
